"""The experiment: one TOML file, one frozen object."""

import difflib
import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import Field

from clients.config import ClientConfig
from common.component import component
from common.configure import dump, load, unknown
from common.encoders.numbers import Numbers
from common.failures import BudgetExceeded, ConfigError
from server.config import ServerConfig
from server.subclasses import check_used
from server.weightings import Weighting
from simulations.caching import check_cache
from simulations.corruptions import Corruption
from simulations.corruptions.feature_noise import FeatureNoise
from simulations.datasets import Dataset
from simulations.hiding import check_hiding
from simulations.partitions import Partition
from simulations.partitions.natural import Natural
from simulations.secure_sum import check_secure_sum

SHIPPED = Path(__file__).parent / "experiments"
_INSTEAD = {"teacher": "teachers", "teachers": "teacher"}


@component
class DataConfig:
    """Which data, and how it is scattered.

    Attributes:
        dataset: where the labelled texts come from.
        num_clients: how many parties hold a part of them.
        partition: who holds what.
        transfer_fraction: share of all rows whose texts, unlabelled, are public.
        test_fraction: share of all rows that only the observer sees, after the last round;
            no effect where the data set has a published test part.
        labelled_transfer: number of transfer texts whose labels are public, drawn by seed; the
            server may learn from them and weigh clients by them. Not given: none.
        validation_size: number of labelled rows the server owns, for reporting only.
        corruptions: what is wrong with the private data of some clients, one after the other.
    """

    dataset: Dataset
    num_clients: int = Field(default=4, ge=1)
    partition: Partition = Field(default_factory=Natural)
    transfer_fraction: float = Field(default=0.25, gt=0, lt=1)
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    labelled_transfer: int | None = Field(default=None, ge=1)
    validation_size: int = Field(default=200, ge=1)
    corruptions: tuple[Corruption, ...] = ()


@component
class WireConfig:
    """What the bytes look like.

    Attributes:
        bits: width of a code; 1 sends the argmax only.
        bits_down: the same of what the server says back (``server.feedback``); not given:
            ``bits``; no effect where it says nothing.
        secure_sum: whether clients send masked words, of which the server learns nothing but the
            sum over all of them. Not given: they answer in clear.
        contributors: fewest clients that anything may be told of, where sums are secure; not
            given: 2. ``k_min`` must be no less.
    """

    bits: Literal[1, 2, 4, 8, 16] = 8
    bits_down: Literal[1, 2, 4, 8, 16] | None = None
    secure_sum: bool | None = None
    contributors: int | None = Field(default=None, ge=2)

    def __post_init__(self) -> None:
        if not self.secure_sum:  # what changes nothing changes no run id
            object.__setattr__(self, "secure_sum", None)


@component
class Experiment:
    """A complete, runnable description. Equal experiments give equal results.

    Attributes:
        data: which data, and how it is scattered.
        clients: the private side.
        server: the public side.
        wire: what the bytes look like.
        num_rounds: how often the server asks.
        seed: from which every party's own seed is derived.
        k_min: fewest clients that must answer a round.
        disclose: client-derived scalars that may cross beyond the predictions.
        bounds: whether the observer also measures the teachers, their ensemble and a
            model trained on all private texts together.
        isolation: ``"process"`` for a process of its own for every task of every client, so that
            none opens two clients' stores; slower, and the same bits. ``"shared"`` lets a worker
            look after many clients in turn.
    """

    data: DataConfig
    clients: ClientConfig = Field(default_factory=ClientConfig)
    server: ServerConfig = Field(default_factory=ServerConfig)
    wire: WireConfig = Field(default_factory=WireConfig)
    num_rounds: int = Field(default=1, ge=1)
    seed: int = Field(default=7, ge=0)
    k_min: int = Field(default=1, ge=1)
    disclose: tuple[Literal["familiarity", "num_examples"], ...] = ()
    bounds: bool = False
    isolation: Literal["shared", "process"] = "shared"

    def __post_init__(self) -> None:
        if self.k_min > self.data.num_clients:
            raise ConfigError(
                f"k_min is {self.k_min} but there are only {self.data.num_clients} clients; "
                f"write k_min = {self.data.num_clients} or less"
            )
        self._check_corruptions()
        self._check_assignment()
        self._check_budget()
        self._check_feedback()
        check_disclosed(self, self.server.weighting)
        check_secure_sum(self)
        check_cache(self)
        check_hiding(self)
        if self.clients.num_subclasses > 1:
            check_used(self.server)
        if (key := self.server.needs_labels) and self.data.labelled_transfer is None:
            raise ConfigError(
                f"{key} needs known labels of some transfer texts; write for example "
                "data.labelled_transfer = 200"
            )

    def _check_feedback(self) -> None:
        says, learns = self.server.feedback is not None, self.clients.refinement is not None
        if says and not learns:
            raise ConfigError(
                "server.feedback says something back, and no client makes anything of it; write "
                "clients.refinement = 'digest_revisit'"
            )
        if learns and not says:
            raise ConfigError(
                "clients.refinement is about what the server says back, and it says nothing; write "
                "server.feedback = 'consensus'"
            )

    def _check_corruptions(self) -> None:
        for number, corruption in enumerate(self.data.corruptions):
            if max(corruption.clients, default=0) >= self.data.num_clients:
                raise ConfigError(
                    f"data.corruptions[{number}].clients names client {max(corruption.clients)}; "
                    f"write at most {self.data.num_clients - 1}"
                )
            if self._slips_in_numbers(corruption):
                raise ConfigError(
                    f"data.corruptions[{number}] makes slips in texts, and clients.encoder reads "
                    "numbers; write kind = 'feature_noise', unit = 'number'"
                )

    def _slips_in_numbers(self, corruption: Corruption) -> bool:
        reads_numbers = isinstance(self.clients.encoder, Numbers) and self.clients.reads_features
        return (
            reads_numbers and isinstance(corruption, FeatureNoise) and corruption.unit != "number"
        )

    def _check_assignment(self) -> None:
        given, number = self.clients.assignment, self.data.num_clients
        if given is not None and len(given) != number:
            raise ConfigError(
                f"clients.assignment is about {len(given)} clients, and there are {number}; write "
                f"{number} numbers"
            )

    def _check_budget(self) -> None:
        """Say before anything is trained whether clients' budgets last for all rounds.

        Raises:
            BudgetExceeded: they do not.
        """
        mechanism = self.clients.mechanism
        plan = None if mechanism is None else mechanism.plan()
        if mechanism is None or plan is None:
            return
        if "familiarity" in self.disclose:
            raise ConfigError(
                "disclose: how near texts are to a client's own is found past clients.mechanism, "
                "which would then guarantee nothing; leave one of them out"
            )
        trainings = self.num_rounds if self.clients.refinement is not None else 1
        if mechanism.exceeds([plan] * trainings):
            raise BudgetExceeded(
                f"{trainings} trainings would spend epsilon "
                f"{mechanism.epsilon([plan] * trainings):.4g} of {mechanism.limit():.4g}; write "
                f"fewer rounds, clients.refinement = 'none' or a larger clients.mechanism.budget"
            )

    @property
    def disclosed(self) -> tuple[str, ...]:
        """The declared extras of an answer: the bias if it is needed, and ``disclose``.

        None where sums are secure: clients weigh themselves, and what they need stays with them.
        """
        if self.wire.secure_sum:
            return ()
        bias = ("bias",) if "bias" in self.server.weighting.needs else ()
        return bias + self.disclose

    @property
    def bits_down(self) -> int | None:
        """Width of a code of what the server says back; None if it says nothing."""
        return None if self.server.feedback is None else self.wire.bits_down or self.wire.bits

    @property
    def run_id(self) -> str:
        """32 hex digits; the same for experiments in which the same bytes cross."""
        silent = ("bounds", "isolation")  # what changes no byte changes no run id
        table = {key: value for key, value in dump(self).items() if key not in silent}
        del table["server"]["timeouts"]
        del table["clients"]["vectorised"]
        if self.clients.bias == "mean":
            del table["clients"]["bias"]
        if table["clients"]["availability"] == {"kind": "always"}:
            del table["clients"]["availability"]
        if table["server"]["cohort"] == {"kind": "everyone"}:
            del table["server"]["cohort"]
        if "familiarity" not in self.disclose:
            del table["clients"]["familiarity"]
        drawn = table["data"]["dataset"]
        if (drawn["kind"], drawn.get("classes")) == ("vader", 5):
            del drawn["classes"]
        if not self.data.corruptions:  # what changes nothing changes no run id
            del table["data"]["corruptions"]
        text = json.dumps(table, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def check_disclosed(experiment: Experiment, weighting: Weighting) -> None:
    """Refuse a weighting that needs what clients do not disclose, or labels nobody has.

    Raises:
        ConfigError: what to write.
    """
    told = {"bias", "labels", *experiment.disclose}
    if experiment.wire.secure_sum:
        told.add("num_examples")  # inside the sum
    if missing := weighting.needs - told:
        raise ConfigError(
            f"server.weighting needs {sorted(missing)} of every client; "
            f"write disclose = {sorted({*experiment.disclose, *missing})}"
        )
    if "labels" in weighting.needs and experiment.data.labelled_transfer is None:
        raise ConfigError(
            "server.weighting needs known labels of some transfer texts; write for example "
            "data.labelled_transfer = 200"
        )


def shipped() -> list[str]:
    """The names of the experiments that come with the project."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def read(name: str, overrides: list[str] | None = None, seed: int | None = None) -> Experiment:
    """The experiment of a shipped name or a TOML file, with overrides applied in order.

    Args:
        name: a name of :func:`shipped`, or a path that ends in ``.toml``.
        overrides: TOML assignments; ``;`` outside strings separates several.
        seed: wins over ``overrides``.

    Raises:
        ConfigError: anything about it that does not describe a runnable experiment.
    """
    table = _parse(_text(_locate(name)), name)
    for override in overrides or []:
        for statement in _statements(override):
            table = _merged(table, _parse(statement, f"--set {statement!r}"))
    if seed is not None:
        table["seed"] = seed
    _hint_section(table)
    _hint_partition(table)
    return load(Experiment, table)


def to_toml(experiment: Experiment) -> str:
    """The experiment with every default written out."""
    return tomli_w.dumps(dump(experiment))


def _locate(name: str) -> Path:
    if name.endswith(".toml"):
        if not Path(name).is_file():
            raise ConfigError(f"there is no experiment file {name}; check the path")
        return Path(name)
    if name not in shipped():
        raise ConfigError(unknown("experiment", name, shipped()))
    return SHIPPED / f"{name}.toml"


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as UTF-8 text; check the file") from error


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{source} is not TOML: {error}; write for example data.num_clients = 8, "
            "and strings in quotes"
        ) from error


def _statements(text: str) -> list[str]:
    """Cut at every ``;`` that is not inside a string."""
    parts, quote, escaped = [""], "", False
    for char in text:
        if escaped:
            parts[-1], escaped = parts[-1] + char, False
            continue
        escaped = char == "\\" and quote == '"'
        if char == ";" and not quote:
            parts.append("")
            continue
        if char in "\"'":
            quote = "" if char == quote else quote or char
        parts[-1] += char
    return [part.strip() for part in parts if part.strip()]


def _merged(table: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Deep merge; a table that names a new ``kind`` replaces the old one whole.

    Of two keys that exclude each other the later one stays.
    """
    merged = {key: old for key, old in table.items() if _INSTEAD.get(key) not in changes}
    for key, new in changes.items():
        old = merged.get(key)
        if isinstance(old, str) and isinstance(new, dict) and "kind" not in new:
            old = {"kind": old}
        if isinstance(old, dict) and isinstance(new, dict) and "kind" not in new:
            new = _merged(old, new)
        merged[key] = new
    return merged


def _hint_section(table: dict[str, Any]) -> None:
    """A key that stands at the top but belongs into a section is named with its section."""
    sections = {
        "data": DataConfig,
        "clients": ClientConfig,
        "server": ServerConfig,
        "wire": WireConfig,
    }
    top = set(Experiment.__dataclass_fields__)
    inside = {
        f"{section}.{key}": key
        for section, config in sections.items()
        for key in config.__dataclass_fields__  # type: ignore[attr-defined]
    }
    for key in table.keys() - top:
        if difflib.get_close_matches(key, top, n=1, cutoff=0.8):
            continue
        if close := difflib.get_close_matches(key, inside.values(), n=1, cutoff=0.8):
            path = next(path for path, name in inside.items() if name == close[0])
            raise ConfigError(f"unknown key {key!r}; did you mean {path!r}?")


def _hint_partition(table: dict[str, Any]) -> None:
    """Rows are dealt once; who writes several partitions is told how skews go together."""
    data = table.get("data")
    if isinstance(data, dict) and isinstance(data.get("partition"), list):
        raise ConfigError(
            "data.partition is one table, for rows are dealt once; for natural groups and another "
            "skew write { kind = 'within_groups', partition = { kind = '...' } }, for label shares "
            "and sizes 'quantity' with an alpha, for few labels and sizes 'pathological_quantity'"
        )
