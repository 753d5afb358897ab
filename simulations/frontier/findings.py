"""What the picture says, one sentence a finding, made from its figures alone."""

from collections.abc import Mapping, Sequence
from typing import Any

_RARE = "tpr_0.001"
_FAR = 0.05

Point = Mapping[str, Any]


def sentences(made: Mapping[str, Any]) -> list[str]:
    """Every finding; the price of guarantees first.

    Args:
        made: ``frontier.json`` without its findings.
    """
    points, own = made["points"], made["bits"]
    guarded = [p for p in points if p["epsilon"] is not None and p["bits"] == own]
    plain = [p for p in points if p["epsilon"] is None]
    open_ = next(p for p in plain if p["bits"] == own)
    return [
        *(_price(point) for point in guarded if point["change"]),
        _unguarded(open_),
        *(_guarded(point) for point in guarded),
        *_widths(plain, guarded),
        *_taken_for_privacy(made["obfuscations"], guarded[0]),
    ]


def _price(point: Point) -> str:
    right, far = (point["change"][key] for key in ("accuracy", "semantic_distance"))
    return (
        f"{_name(point)}: accuracy changes by {_points(right)} and semantic distance (lower is "
        f"better) by {_span(far, '+.3f')} against the same experiment without a guarantee"
        f"{_doubt(right)}."
    )


def _doubt(change: Mapping[str, Any]) -> str:
    if change["low"] is None:
        return ", on one seed"
    if change["low"] <= 0 <= change["high"]:
        return f"; in accuracy, {change['n']} seeds cannot tell that from nothing"
    return ""


def _unguarded(point: Point) -> str:
    return (
        "Without a guarantee the strongest attack picks the record that was learned from, out of "
        f"one that was and one that was not, {_share(point, 'auc')} of the time (50 % is a coin), "
        f"and finds {_share(point, _RARE)} of those learned from while it wrongly accuses 1 "
        "outsider in 1,000."
    )


def _guarded(point: Point) -> str:
    allowed = point["allowed"] and point["allowed"][_RARE]
    more = "" if allowed is None else f"; the guarantee allows no attack more than {allowed:.1%}"
    return f"{_name(point)}: {_share(point, 'auc')} and {_share(point, _RARE)}{more}."


def _widths(plain: Sequence[Point], guarded: Sequence[Point]) -> list[str]:
    """What fewer bits save, and what they do not hide."""
    if len(plain) < 2:
        return []
    wide, narrow = plain[0], plain[-1]
    known = [p["use"]["accuracy"]["mean"] for p in plain if p["use"]]
    told = (
        f"From {wide['bits']} bits to {narrow['bits']} a client sends "
        f"{narrow['bytes_up_per_client']:,} bytes and not {wide['bytes_up_per_client']:,}"
    )
    if known:
        told += f", and accuracy lies between {min(known):.3f} and {max(known):.3f}"
    weakest = min(plain, key=lambda p: float(p["attack"]["auc"]["mean"]))
    level = max(guarded, key=lambda p: p["epsilon"])
    gap = weakest["attack"]["auc"]["mean"] - level["attack"]["auc"]["mean"]
    least = f"at {_bits(weakest)}, where it finds least, {_share(weakest, 'auc')}"
    if gap > _FAR:
        judged = f"no width protects as {_name(level, start=False)} does"
    else:
        judged = f"that is near {_name(level, start=False)}, and promises nothing"
    return [f"{told}.", f"The attack does not end with fewer bits: {least}; {judged}."]


def _taken_for_privacy(found: Sequence[Mapping[str, Any]], level: Point) -> list[str]:
    """Temperature, rounding and noise on answers, beside a guarantee."""
    if not found:
        return []
    told = "; ".join(
        f"{one['name']} {_share(one, 'auc')} and {_share(one, _RARE)}" for one in found
    )
    least = level["attack"][_RARE]["mean"]
    close = [one["name"] for one in found if one["attack"][_RARE]["mean"] <= least]
    name = _name(level, start=False)
    judged = f"each gives away more than {name} does"
    if close:
        judged = f"no more than at {name} is found with {', '.join(close)}, and nothing is promised"
    return [f"What is often taken for privacy, attacked likewise: {told}; {judged}."]


def _name(point: Point, start: bool = True) -> str:
    return f"{'E' if start else 'e'}psilon {point['epsilon']:g}"


def _bits(point: Point) -> str:
    return f"{point['bits']} bit" + ("" if point["bits"] == 1 else "s")


def _share(point: Mapping[str, Any], key: str) -> str:
    value = point["attack"][key]["mean"]
    return f"{value:.0%}" if key == "auc" else f"{value:.1%}"


def _points(change: Mapping[str, Any]) -> str:
    """A difference of shares in points: ``-2.1 points [-3.0, -1.2]``."""
    if change["low"] is None:
        return f"{100 * change['mean']:+.1f} points"
    span = f"[{100 * change['low']:+.1f}, {100 * change['high']:+.1f}]"
    return f"{100 * change['mean']:+.1f} points {span}"


def _span(change: Mapping[str, Any], style: str) -> str:
    told = format(change["mean"], style)
    if change["low"] is None:
        return told
    return f"{told} [{format(change['low'], style)}, {format(change['high'], style)}]"
