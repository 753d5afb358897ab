"""``fedknot bench fuzz``: a million messages, none of which may get in by a trick."""

import struct
import time
import tracemalloc
from collections import Counter
from random import Random
from typing import Any, Final

import numpy as np
import psutil

from common.failures import CheckFailed
from common.reasons import Reason
from server.admission import Admission
from simulations.benches import envelopes
from simulations.benches.canonical import HEADER
from simulations.benches.fuzzer import Findings, Fuzzer
from simulations.benches.mutations import CLIENTS, ROUND, worlds
from simulations.benches.streams import Scene, Stream
from simulations.benches.weakened import WEAKENED
from simulations.benches.weakened_parts import KINDS, WEAK_PARTS, Scenes
from simulations.events import Progress

MOST_MB: Final = 50.0
WITHIN: Final = 20_000  # messages in which every weakened decoder must be found
_STEP: Final = 5_000
_TO_ONE_REPLY: Final = 20  # messages to one whole message of Flower's
_TO_ONE_PART: Final = 20  # messages to one of each other kind
_HUGE: Final = 32_000_000  # bytes


def fuzz(inputs: int, seed: int, report: Progress) -> dict[str, Any]:
    """Feed every strict reader; then show that the fuzzer would find what it should.

    Args:
        inputs: messages in all: four in twenty are a consensus, a list, a key or masked words,
            one is a whole message of Flower's, the others are answers.
        seed: the same seed, the same messages and verdicts.
        report: told (phase, done, total).

    Returns:
        ``inputs``, ``seconds``, ``reasons``, ``replies``, ``parts`` (verdicts on answers, whole
        messages, and of each other kind), ``broken`` (empty if all is well), ``examples``,
        ``decisions`` (hashes of all verdicts), ``memory`` and ``controls``: of every weakened
        reader the number of messages after which it was found, None if it was not.
    """
    replies, each = inputs // _TO_ONE_REPLY, inputs // _TO_ONE_PART
    answers = inputs - replies - each * len(KINDS)
    fuzzer, wire, parts = Fuzzer(seed), Findings(), {kind: Findings() for kind in KINDS}
    streams = [Stream(seed, _scenes(KINDS[kind], seed), made) for kind, made in parts.items()]
    fuzzer.feed(min(_STEP, answers))  # tables, caches
    for stream in streams:
        stream.feed(min(_STEP, each))
    envelopes.feed(Random(seed), min(1, replies), wire)
    resident, started = [_resident_mb()], time.monotonic()
    for done in range(fuzzer.findings.inputs, answers, _STEP):
        fuzzer.feed(min(_STEP, answers - done))
        resident.append(_resident_mb())
        report("fuzz", done, inputs)
    for stream, found in zip(streams, parts.values(), strict=True):
        stream.feed(each - found.inputs)
        resident.append(_resident_mb())
    envelopes.feed(Random(seed + 1), max(0, replies - 1), wire)
    resident.append(_resident_mb())
    report("fuzz", inputs, inputs)
    seconds, rise, huge = time.monotonic() - started, max(resident) - resident[0], _huge_mb()
    made = _told(seed, {"answers": fuzzer.findings, "replies": wire, **parts})
    made["broken"] |= {"memory": 1} if max(rise, huge) > MOST_MB else {}
    memory = {"rise_mb": round(rise, 1), "huge_mb": round(huge, 2)}
    controls = {name: found_after(name, seed) for name in (*WEAKENED, *WEAK_PARTS)}
    return made | {"seconds": round(seconds, 1), "memory": memory, "controls": controls}


def _told(seed: int, found: dict[str, Findings]) -> dict[str, Any]:
    """What was found of every kind, as a table."""
    verdicts = {kind: dict(made.reasons.most_common()) for kind, made in found.items()}
    return {
        "inputs": sum(made.inputs for made in found.values()),
        "seed": seed,
        "reasons": verdicts.pop("answers"),
        "replies": verdicts.pop("replies"),
        "parts": verdicts,
        "broken": dict(sum((made.broken for made in found.values()), Counter[str]())),
        "examples": [example for made in found.values() for example in made.examples],
        "decisions": [made.decisions for made in found.values()],
    }


def _scenes(kind: Scenes, seed: int) -> list[Scene]:
    return kind(np.random.default_rng(seed))


def found_after(name: str, seed: int) -> int | None:
    """After how many messages a weakened reader is found, by the right rule; None if never."""
    fed, findings, rule = _weak(name, seed)
    while rule not in findings.broken and findings.inputs < WITHIN:
        fed.feed(10)
    return findings.inputs if rule in findings.broken else None


def _weak(name: str, seed: int) -> tuple[Fuzzer | Stream, Findings, str]:
    if name in WEAK_PARTS:
        scenes, rule = WEAK_PARTS[name]
        findings = Findings()
        return Stream(seed, _scenes(scenes, seed), findings), findings, rule
    part, rule = WEAKENED[name]
    fuzzer = Fuzzer(seed, gate=part) if isinstance(part, type) else Fuzzer(seed, part)
    return fuzzer, fuzzer.findings, rule


def check(made: dict[str, Any]) -> None:
    """Pass if all is well.

    Raises:
        CheckFailed: a rule was broken, or the fuzzer missed what it should find.
    """
    if made["broken"]:
        raise CheckFailed(f"the gate broke {len(made['broken'])} rule(s); see what is printed")
    if missed := [name for name, after in made["controls"].items() if after is None]:
        raise CheckFailed(f"the fuzzer misses a reader that {missed[0]}")


def lines(made: dict[str, Any]) -> list[str]:
    """The same for a person."""
    verdict = f"BROKEN: {made['broken']}" if made["broken"] else "no rule broken"
    shown = [f"{made['inputs']:,} messages in {made['seconds']} s, seed {made['seed']}: {verdict}"]
    memory = made["memory"]
    shown.append(f"memory: {memory['rise_mb']} MB more, {memory['huge_mb']} MB for huge messages")
    titled = {"answers": made["reasons"], **made["parts"], "whole messages": made["replies"]}
    for title, verdicts in titled.items():
        shown += ["", f"{title}:"]
        shown += [f"  {name:16}{count:>10,}" for name, count in verdicts.items()]
    shown += ["", "the fuzzer finds a reader that ..., after so many messages:"]
    for name, after in made["controls"].items():
        shown.append(f"  {name:38}{'NOT FOUND' if after is None else f'{after:>9,}'}")
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
