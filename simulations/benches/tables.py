"""The transport benchmark for people: tables of what was measured and what was promised."""

from collections.abc import Iterator, Sequence
from typing import Any

from simulations.benches.arms import LIMIT
from simulations.benches.peers import KNOT

Row = dict[str, Any]


def table(made: dict[str, Any]) -> list[str]:
    """For people: limits, then one block per workload and cost."""
    limits = made["limits"]
    lines = [
        "One thread, CPU time of forward and backward from the logits; median of interleaved",
        f"repeats. Ratio: {KNOT} over the arm, median [10 %, 90 %] of pairs. Errors: of values",
        "(relative, L1) and of the logits' gradient (relative, L2), against float64 exact.",
        f"x limit: time over that of '{LIMIT}' of the same shape. ~: fewer samples, scaled.",
        f"Limits: GEMM {limits['gemm_gflops']:.0f} GF/s (float64"
        f" {limits['gemm_double_gflops']:.0f}, skinny {limits['skinny_gflops']:.0f}), copy"
        f" {limits['copy_gbps']:.0f} GB/s (in cache {limits['copy_cached_gbps']:.0f}), exp"
        f" {limits['exp_ns']:.2f} ns, one torch operation {limits['operation_us']:.1f} us.",
    ]
    for pairing in made["workloads"]:
        lines += ["", *_block(pairing)]
    return [*lines, "", f"{made['seconds']:.0f} s; {_versions(made['versions'])}"]


def floor_table(made: dict[str, Any]) -> list[str]:
    """For people: what was promised over KNOT's call, and what was measured."""
    lines = [f"{'(B,K,C) cost':28}{'promised':>9}{'auto':>8}{'unchecked':>11}{'fastest':>9}  holds"]
    for floor in made["floors"]:
        where = f"{_numbers(floor['workload'])} {floor['cost']}"
        cells = [_times(floor["measured"][key]) for key in ("auto", "unchecked", "fastest")]
        answers = [_answer(floor["holds"][key]) for key in ("auto", "unchecked", "fastest")]
        verdict = answers[0] if len(set(answers)) == 1 else " / ".join(answers)
        lines.append(
            f"{where:28}{_times(floor['promised']):>9}{cells[0]:>8}{cells[1]:>11}{cells[2]:>9}"
            f"  {verdict} ({floor['fastest'].removeprefix('fedknot ')})"
            f"{', ~' if floor['scaled'] else ''}"
        )
    return lines if made["floors"] else ["no floor is promised for these workloads"]


def _block(pairing: dict[str, Any]) -> Iterator[str]:
    yield (
        f"(B,K,C) = {_numbers(pairing['workload'])}, {pairing['cost']} "
        f"({pairing['kind']}; auto: {pairing['auto']})"
    )
    yield (
        f"  {'arm':42}{'ms':>11} {'ratio':>8} {'[10 %, 90 %]':>17}"
        f"{'value err':>11}{'grad err':>10}{'x limit':>10}{'n':>5}"
    )
    yield from map(_line, pairing["rows"])


def _line(row: Row) -> str:
    name = f"  {row['arm']:42}"
    if row["ms"] is None:
        return f"{name}  {row['note']}"
    scaled = "~" if row["scaled"] else " "
    interval = (
        "" if row["ratio"] is None else f"[{_short(row['ratio_low'])}, {_short(row['ratio_high'])}]"
    )
    errors = [
        "" if row[key] is None else f"{row[key]:.1e}" for key in ("value_error", "gradient_error")
    ]
    note = f"  {row['note']}" if row["note"] else ""
    return (
        f"{name}{scaled}{row['ms']:10.2f} {_times(row['ratio']):>8} {interval:>17}"
        f"{errors[0]:>11}{errors[1]:>10}{_short(row['times_limit']):>10}{row['repeats']:5}{note}"
    )


def _numbers(workload: Sequence[int]) -> str:
    return ",".join(map(str, workload))


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{_short(ratio)}x"


def _short(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def _answer(holds: bool | None) -> str:
    return "unknown" if holds is None else "yes" if holds else "NO"


def _versions(versions: dict[str, str | None]) -> str:
    return ", ".join(f"{name} {number or 'not installed'}" for name, number in versions.items())
