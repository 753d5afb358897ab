"""``fedknot list``: all experiments and components there are, read from the files themselves."""

import dataclasses
import inspect
import re
from typing import Any, get_type_hints

from pydantic.fields import FieldInfo

from clients.availability import Availability
from clients.mechanisms import Mechanism
from clients.refinements import Refinement
from clients.teachers import Teacher
from common.configure import dump, find, kind_of, kinds, unknown
from common.encoders import Encoder
from common.failures import ConfigError
from server.aggregators import Aggregator
from server.caches import Cache
from server.cohorts import Cohort
from server.feedbacks import Feedback
from server.geometries import Geometry
from server.hidings import Hiding
from server.losses import DistillationLoss
from server.reweightings import Reweighting
from server.students import Student
from server.weightings import Weighting
from simulations.attacks import Attack
from simulations.corruptions import Corruption
from simulations.datasets import Dataset
from simulations.headers import experiments
from simulations.partitions import Partition
from simulations.poisons import Poison
from simulations.yardsticks import Yardstick

FAMILIES: dict[str, type] = {
    "losses": DistillationLoss,
    "geometries": Geometry,
    "weightings": Weighting,
    "aggregators": Aggregator,
    "reweightings": Reweighting,
    "teachers": Teacher,
    "mechanisms": Mechanism,
    "refinements": Refinement,
    "students": Student,
    "feedbacks": Feedback,
    "cohorts": Cohort,
    "availability": Availability,
    "caches": Cache,
    "hidings": Hiding,
    "encoders": Encoder,
    "partitions": Partition,
    "corruptions": Corruption,
    "datasets": Dataset,
    "yardsticks": Yardstick,
    "attacks": Attack,
    "poisons": Poison,
}

EXPERIMENTS = "experiments"
SECTIONS = (EXPERIMENTS, *FAMILIES)
"""Whatever there is a list of: the shipped experiments, and the families of components."""

_PUBLIC = {"labels"}  # what a component needs of the server, not of a client


def catalogue(family: str | None = None) -> dict[str, Any]:
    """Families, and for each member its kind, one-line manual, fields and disclosures.

    The shipped experiments are one more family, whose members have names for kinds.

    Raises:
        ConfigError: there is no such family.
    """
    if family is not None and family not in SECTIONS:
        raise ConfigError(unknown("family", family, SECTIONS))
    return {name: _members(name) for name in (SECTIONS if family is None else (family,))}


def table(made: dict[str, Any]) -> list[str]:
    """The same for a person."""
    rows: list[str] = []
    for family, members in made.items():
        rows += ["", family] if rows else [family]
        for member in members:
            rows.append(f"  {member['kind']:22}{member['manual']}")
            rows += [
                f"      {name} = {about['default']!r}" for name, about in member["fields"].items()
            ]
    return rows


def _members(family: str) -> list[dict[str, Any]]:
    if family == EXPERIMENTS:
        return experiments()
    base = FAMILIES[family]
    return [_member(find(base, kind), kind) for kind in kinds(base)]


def _member(component: type, kind: str) -> dict[str, Any]:
    hints = get_type_hints(component)
    fields = {
        field.name: {"type": _name(hints[field.name]), "default": _default(field)}
        for field in dataclasses.fields(component)
    }
    first = (inspect.getdoc(component) or "").splitlines()[0]
    manual = re.sub(r":\w+:`([^`]*)`", r"\1", first)
    needs = set(getattr(component, "needs", ()))
    return {
        "kind": kind,
        "manual": manual,
        "fields": fields,
        "discloses": sorted(needs - _PUBLIC),
        "needs_public": sorted(needs & _PUBLIC),
    }


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def _default(field: "dataclasses.Field[Any]") -> Any:
    default = field.default
    if isinstance(default, FieldInfo):
        default = default.get_default(call_default_factory=True, validated_data={})
    if default is dataclasses.MISSING:
        return None
    if dataclasses.is_dataclass(default):
        return {"kind": kind_of(default)} | dump(default)
    return default
