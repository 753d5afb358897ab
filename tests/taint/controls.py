"""The positive controls: what is leaked on purpose, and what must come of it.

The table in ``docs/privacy.md`` has one line for each of these.
"""

from dataclasses import dataclass

SERVER = "memory of the server"


@dataclass(frozen=True)
class Control:
    """One leak, by a client that nobody else shares its fate with.

    Attributes:
        name: of the leak; or of what the harness itself does.
        verdict: with which the gate refuses the answer, or "accepted"; None where none came.
        status: of the client, and the reason, in ``clients.csv``.
        found: every place where the search finds the secret.
        may: places where the secret may lie about besides, and is no news.
        what: the kind of secret.
    """

    name: str
    verdict: str | None
    status: tuple[str, str]
    found: frozenset[str] = frozenset()
    may: frozenset[str] = frozenset()
    what: str = "text"

    @property
    def left_out(self) -> bool:
        """Whether the client is no part of the aggregate."""
        return self.status[0] != "answered"


def _gate(name: str, verdict: str) -> Control:
    """The answer is refused whole; its bytes were in the server's memory, and nowhere else."""
    return Control(name, verdict, ("quarantined", verdict), may=frozenset({SERVER}))


def _seen(name: str, *places: str, what: str = "text") -> Control:
    """The answer is good, so that only the search tells."""
    return Control(name, "accepted", ("answered", "accepted"), frozenset(places), what=what)


def _printed(name: str, place: str) -> Control:
    """Ray's log monitor reads the workers' files, and offers their lines to who asks for them."""
    good = ("answered", "accepted")
    passed = frozenset({"memory of log_monitor", "memory of gcs_server"})
    return Control(name, "accepted", good, frozenset({place}), passed)


CONTROLS = (
    _gate("extra_record", "wrong_field"),
    _gate("extra_metric", "wrong_field"),
    _gate("metric_name", "wrong_field"),
    _gate("metric_value", "wrong_round"),
    _gate("array_name", "wrong_field"),
    _gate("array_type", "wrong_field"),
    _gate("trailing_bytes", "too_large"),
    _gate("spare_bytes", "not_canonical"),
    _gate("wrong_sum", "wrong_sum"),
    Control("status_name", None, ("lost", "client_error"), may=frozenset({SERVER})),
    # Inside the app's guard a code leaves; outside it the engine has the text, and logs none.
    Control("error_text", None, ("lost", "client_error")),
    Control("error_outside", None, ("quarantined", "crashed"), may=frozenset({SERVER})),
    _seen("context_state", SERVER),
    _printed("print", "ray/worker.out"),
    _printed("stderr", "ray/worker.err"),
    _printed("log", "ray/worker.err"),
    _seen("teacher_file", "checkpoint/teacher.safetensors", what="weight"),
    _seen("path_file", "checkpoint/path.txt", what="path"),
    _seen("label_file", "checkpoint/label.txt", what="label"),
    Control("broken_row", None, ("lost", "client_error")),
    # It answers for the client after it as well, who behaves and must not be blamed.
    Control("stray_answer", "accepted", ("answered", "accepted"), may=frozenset({SERVER})),
)
