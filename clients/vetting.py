"""What a client looks at before it trains: is the shared set a set of texts, or of probes?

A server that chooses the texts can ask one-word texts, and read off which words a client's
texts hold; texts that differ in one word, for the same; the same text again and again, so that
noise averages out; or the very texts it wonders about. Each leaves a mark that a client can count
by itself. What is found stays in the client's log; the server learns "refused" and no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import final

from pydantic import Field

from clients.likeness import family_sizes
from clients.store import Store
from clients.words import words
from common.component import component
from common.failures import DataError
from common.reasons import Reason, Refused
from common.transfer import TransferSet

_FEW = 8  # a family of so many texts is no design, however small the set


@final
@component
class Vetting:
    """How much of what probes are made of a client bears with; a share of 1 bears with all.

    Texts count as the same if they have the same words (:func:`clients.words.words`).
    The defaults let conversations (MELD) and pairs of sentences made by rule (SICK) pass.

    Attributes:
        max_probes: different texts of at most one different word, per row.
        max_copies: rows whose text has come before, per row.
        max_alike: texts that one word tells apart from another, per different text.
        max_family: the most texts that differ from one template in one word, per row; eight
            are always borne with.
        max_overlap: private texts among the shared ones, per different private text or per
            different shared text, whichever are fewer.
    """

    max_probes: float = Field(default=0.06, ge=0, le=1)
    max_copies: float = Field(default=0.15, ge=0, le=1)
    max_alike: float = Field(default=0.2, ge=0, le=1)
    max_family: float = Field(default=0.01, ge=0, le=1)
    max_overlap: float = Field(default=0.1, ge=0, le=1)

    def objection(self, transfer: TransferSet, private: Sequence[str]) -> str | None:
        """Why not to answer about these texts, in numbers only; None if there is no reason.

        Args:
            transfer: the N shared texts, in any order.
            private: the client's own M texts.
        """
        marks = _marks(transfer)
        mine = {words(text) for text in private}
        fewer = min(len(mine), len(marks.different))
        counts = (
            ("one-word texts", marks.probes, self.max_probes * marks.rows),
            ("copies", marks.copies, self.max_copies * marks.rows),
            ("texts alike but for one word", marks.alike, self.max_alike * len(marks.different)),
            ("texts of one template", marks.family, max(_FEW, self.max_family * marks.rows)),
            ("texts of my own", len(mine & marks.different), self.max_overlap * fewer),
        )
        found = [f"{n} {what}, at most {int(most)}" for what, n, most in counts if n > most]
        return "; ".join(found) or None


@dataclass(frozen=True)
class _Marks:
    """What there is to count in a transfer set; the same in whatever order it stands.

    Attributes:
        rows: N.
        different: the different texts, as words.
        probes: different texts of at most one different word.
        copies: rows whose text has come before.
        alike: other different texts that one word tells apart from a further one.
        family: the most of these that share a template.
    """

    rows: int
    different: frozenset[tuple[str, ...]]
    probes: int
    copies: int
    alike: int
    family: int


def vet(store: Store, vetting: Vetting) -> None:
    """Look at the agreed texts, once: what was found is remembered under their hash.

    Raises:
        Refused: ``refused``, whatever the reason, which stands in the client's own log.
    """
    agreed, verdict = store.terms().transfer_sha256, store.verdict()
    if verdict is None:
        objection = vetting.objection(_pinned(store), store.shard()[0])
        verdict = {"sha256": agreed, "objection": objection}
        store.keep_verdict(verdict)
    if verdict["sha256"] != agreed:
        raise _refusal(store, "a second transfer set in the same run")
    if verdict["objection"] is not None:
        raise _refusal(store, verdict["objection"])


def vetted(store: Store, vetting: Vetting) -> TransferSet:
    """The agreed texts, if the client has nothing against them; see :func:`vet`."""
    vet(store, vetting)
    return _pinned(store)


def _pinned(store: Store) -> TransferSet:
    try:
        return store.transfer()
    except DataError as error:
        raise _refusal(store, str(error)) from error


def _refusal(store: Store, detail: str) -> Refused:
    store.note(f"refused the transfer set: {detail}\n")
    return Refused(Reason.refused)


@lru_cache(maxsize=1)  # the clients of one process look at the same public texts
def _marks(transfer: TransferSet) -> _Marks:
    different = dict.fromkeys(map(words, transfer.texts))
    longer = [text for text in different if len(set(text)) > 1]
    families = family_sizes(longer)
    return _Marks(
        rows=len(transfer),
        different=frozenset(different),
        probes=len(different) - len(longer),
        copies=len(transfer) - len(different),
        alike=int((families > 1).sum()),
        family=int(families.max(initial=0)),
    )
