"""Members of a family, made small by the names of their settings and never by their own."""

import dataclasses

from common.configure import find, load

_SMALL = {
    "batch_size": 16,
    "buckets": 64,
    "epochs": 2,
    "learning_rate": 1e-2,
    "max_tokens": 16,
    "min_steps": 30,
    "width": 16,
}


def small(family, kind, model, **more):
    """The member of that kind, of little width, with ``model`` where it starts from one."""
    fields = {field.name for field in dataclasses.fields(find(family, kind))}
    wanted = {**_SMALL, "model": str(model), **more}
    return load(family, {"kind": kind, **{k: v for k, v in wanted.items() if k in fields}})
