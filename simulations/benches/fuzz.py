"""``fedknot bench fuzz``: a million messages, none of which may get in by a trick."""

import struct
import time
import tracemalloc
from collections import Counter
from random import Random
from typing import Any, Final

import psutil

from common.failures import CheckFailed
from common.reasons import Reason
from server.admission import Admission
from simulations.benches import envelopes
from simulations.benches.canonical import HEADER
from simulations.benches.fuzzer import Findings, Fuzzer
from simulations.benches.mutations import CLIENTS, ROUND, worlds
from simulations.benches.weakened import WEAKENED
from simulations.events import Progress

MOST_MB: Final = 50.0
WITHIN: Final = 20_000  # messages in which every weakened decoder must be found
_STEP: Final = 5_000
_TO_ONE_REPLY: Final = 20  # messages to one whole reply of Flower's
_HUGE: Final = 32_000_000  # bytes


def fuzz(inputs: int, seed: int, report: Progress) -> dict[str, Any]:
    """Feed decoder, gate and wire; then show that the fuzzer would find what it should.

    Args:
        inputs: messages in all.
        seed: the same seed, the same messages and verdicts.
        report: told (phase, done, total).

    Returns:
        ``inputs``, ``seconds``, ``reasons``, ``broken`` (empty if all is well), ``examples``,
        ``decisions`` (a hash of all verdicts), ``memory`` and ``controls``: of every weakened
        decoder the number of messages after which it was found, None if it was not.
    """
    replies = inputs // _TO_ONE_REPLY
    fuzzer, wire = Fuzzer(seed), Findings()
    fuzzer.feed(min(_STEP, inputs - replies))  # tables, caches
    envelopes.feed(Random(seed), min(1, replies), wire)
    resident, started = [_resident_mb()], time.monotonic()
    for done in range(fuzzer.findings.inputs, inputs - replies, _STEP):
        fuzzer.feed(min(_STEP, inputs - replies - done))
        resident.append(_resident_mb())
        report("fuzz", done, inputs)
    envelopes.feed(Random(seed + 1), max(0, replies - 1), wire)
    resident.append(_resident_mb())
    report("fuzz", inputs, inputs)
    seconds, rise = time.monotonic() - started, max(resident) - resident[0]
    broken = fuzzer.findings.broken + wire.broken
    huge = _huge_mb()
    broken["memory"] += max(rise, huge) > MOST_MB
    return {
        "inputs": fuzzer.findings.inputs + wire.inputs,
        "seed": seed,
        "seconds": round(seconds, 1),
        "reasons": dict(fuzzer.findings.reasons.most_common()),
        "replies": dict(wire.reasons.most_common()),
        "broken": dict(+broken),
        "examples": fuzzer.findings.examples + wire.examples,
        "decisions": [fuzzer.findings.decisions, wire.decisions],
        "memory": {"rise_mb": round(rise, 1), "huge_mb": round(huge, 2)},
        "controls": {name: found_after(name, seed) for name in WEAKENED},
    }


def found_after(name: str, seed: int) -> int | None:
    """After how many messages a weakened decoder or gate is found, by the right rule."""
    part, rule = WEAKENED[name]
    fuzzer = Fuzzer(seed, gate=part) if isinstance(part, type) else Fuzzer(seed, part)
    while rule not in fuzzer.findings.broken and fuzzer.findings.inputs < WITHIN:
        fuzzer.feed(10)
    return fuzzer.findings.inputs if rule in fuzzer.findings.broken else None


def check(made: dict[str, Any]) -> None:
    """Pass if all is well.

    Raises:
        CheckFailed: a rule was broken, or the fuzzer missed what it should find.
    """
    if made["broken"]:
        raise CheckFailed(f"the gate broke {len(made['broken'])} rule(s); see what is printed")
    if missed := [name for name, after in made["controls"].items() if after is None]:
        raise CheckFailed(f"the fuzzer misses a decoder that {missed[0]}")


def lines(made: dict[str, Any]) -> list[str]:
    """The same for a person."""
    verdict = f"BROKEN: {made['broken']}" if made["broken"] else "no rule broken"
    shown = [f"{made['inputs']:,} messages in {made['seconds']} s, seed {made['seed']}: {verdict}"]
    memory = made["memory"]
    shown.append(f"memory: {memory['rise_mb']} MB more, {memory['huge_mb']} MB for huge messages")
    for title, key in (("verdicts", "reasons"), ("whole replies", "replies")):
        shown += ["", f"{title}:"]
        shown += [f"  {name:16}{count:>10,}" for name, count in made[key].items()]
    shown += ["", "the fuzzer finds a decoder that ..., after so many messages:"]
    for name, after in made["controls"].items():
        shown.append(f"  {name:34}{'NOT FOUND' if after is None else f'{after:>9,}'}")
    return shown + [f"{rule} by {mutation}: {data}" for rule, mutation, data in made["examples"]]


def _huge_mb() -> float:
    """What the gate allocates at most for messages that are, or claim to be, huge."""
    forged = struct.pack("<IH", 2**32 - 1, 2**16 - 1)
    messages = [bytes(_HUGE)]
    for world in worlds(0):
        good = world.good[CLIENTS[0]][0]
        messages.append(good[: HEADER - 40] + forged + good[HEADER - 34 :])
    messages.append(good + messages[0])
    tracemalloc.start()
    try:
        for world in worlds(0):
            gate = Admission(world.layout, ROUND, set(CLIENTS))
            verdicts = Counter(gate.admit(CLIENTS[0], message) for message in messages)
            assert Reason.accepted not in verdicts, "no forged size is accepted"
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def _resident_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6
