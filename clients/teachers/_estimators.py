"""Estimators of scikit-learn as an experiment names them, one inside another. Imports sklearn."""

import importlib
import inspect
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from clients.teachers import _estimating
from common.failures import ConfigError
from common.seeds import derive

NAMES = {
    "logistic_regression": "linear_model.LogisticRegression",
    "multinomial_nb": "naive_bayes.MultinomialNB",
    "complement_nb": "naive_bayes.ComplementNB",
    "k_neighbours": "neighbors.KNeighborsClassifier",
    "random_forest": "ensemble.RandomForestClassifier",
    "extra_trees": "ensemble.ExtraTreesClassifier",
    "gradient_boosting": "ensemble.GradientBoostingClassifier",
    "perceptron": "neural_network.MLPClassifier",
}

_HINT = f"write one of {', '.join(NAMES)}, or for example 'naive_bayes.BernoulliNB'"
_INSIDE = "{ estimator = 'multinomial_nb', settings = { alpha = 0.1 } }"
_PUBLIC = re.compile(
    r"(?!tests\.|externals\.|datasets\.)[a-z]\w*(\.(?!tests\.)[a-z]\w*)*\.[A-Z]\w*"
)
"""Module and class; no private module, and none that is not about estimators."""


def make(name: str, settings: dict[str, Any]) -> Any:
    """An untrained classifier.

    Args:
        name: a key of :data:`NAMES`, or module and class within scikit-learn.
        settings: its parameters by scikit-learn's own names. A table with the key ``estimator``
            stands for another estimator (``estimator``, ``settings``), and a list of such tables
            for several, each with a ``name`` of its own if it is to have one.

    Raises:
        ConfigError: there is none of that name, it takes no such settings, or it has no
            probabilities to give.
    """
    made = _built(name, settings)
    if not (is_classifier(made) and hasattr(made, "predict_proba")):
        raise ConfigError(f"{name} gives no probabilities; {_HINT}")
    return made


def check(name: str, settings: dict[str, Any]) -> None:
    """Make sure that an experiment's estimator can be had, with all that is inside it.

    Raises:
        ConfigError: as :func:`make`, or what is put together does not fit together.
    """
    _check(name, json.dumps(settings, default=str))


def check_weights(name: str, settings: dict[str, Any]) -> None:
    """Make sure that examples of an estimator can be weighted.

    Raises:
        ConfigError: they cannot.
    """
    made = make(name, settings)
    asked = [made, *(part for part in parts(made) if is_classifier(part))]
    if not all(has_fit_parameter(part, "sample_weight") for part in asked):
        raise ConfigError(
            f"{name} takes no weights of examples, so it cannot learn what the server says back; "
            "write estimator = 'logistic_regression'"
        )


def parts(made: Any) -> Iterator[Any]:
    """An estimator and all that are inside it."""
    yield made
    inside = made.get_params(deep=True).values()
    yield from {id(part): part for part in inside if isinstance(part, BaseEstimator)}.values()


def is_sparse(made: Any) -> bool:
    """Whether an estimator, with all that is inside it, takes sparse matrices."""
    return all(get_tags(part).input_tags.sparse for part in parts(made))


def fix(made: Any, seed: int, rows: int) -> None:
    """Leave nothing of an estimator, and of those inside it, to chance or to the machine.

    Args:
        made: untrained; is changed.
        seed: of the fit.
        rows: M; nobody has more neighbours than there are.
    """
    fixed: dict[str, Any] = {}
    for key, value in made.get_params(deep=True).items():
        inside, _, name = key.rpartition("__")
        if name == "random_state":
            fixed[key] = (derive(seed, key) if inside else seed) % 2**32
        elif name == "n_jobs":
            fixed[key] = None
        elif name == "n_neighbors" and isinstance(value, int):
            fixed[key] = min(value, rows)
    made.set_params(**fixed)


@lru_cache(maxsize=64)
def _check(name: str, text: str) -> None:
    made = make(name, json.loads(text))
    if len(list(parts(made))) > 1 and (why := _estimating.misfit(made)):
        raise ConfigError(f"{name} cannot be put together so: {why}")


def _built(name: str, settings: dict[str, Any]) -> Any:
    values = {key: _value(value, f"settings.{key}") for key, value in settings.items()}
    if values.get("memory") is not None:
        raise ConfigError(
            "settings.memory would keep what is made of private texts outside of the client's "
            "store; leave it out"
        )
    try:
        made = _class(name)(**values)
        made._validate_params()
    except (TypeError, ValueError) as error:
        line = " ".join(str(error).split())
        more = f"; an estimator is a table, {_INSIDE}" if "estimator" in line else ""
        raise ConfigError(f"{name} does not take these settings: {line}{more}") from error
    return made


def _class(name: str) -> Any:
    """The class of that name; nothing is called, or looked for elsewhere, on its account."""
    path = NAMES.get(name, name)
    if not _PUBLIC.fullmatch(path):
        raise ConfigError(f"scikit-learn has no estimator {name!r}; {_HINT}")
    module, _, member = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(f"sklearn.{module}"), member)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"scikit-learn has no estimator {name!r}; {_HINT}") from error
    ours = inspect.isclass(found) and issubclass(found, BaseEstimator)
    if not (ours and found.__module__.partition(".")[0] == "sklearn"):
        raise ConfigError(f"scikit-learn's {name!r} is no estimator; {_HINT}")
    return found


def _value(value: Any, where: str) -> Any:
    """A setting as scikit-learn takes it: tables that name an estimator become one."""
    if _names_one(value):
        return _inside(value, where)
    if isinstance(value, list) and any(map(_names_one, value)):
        return [_step(number, item, where) for number, item in enumerate(value)]
    return value


def _names_one(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("estimator"), str)


def _step(number: int, item: Any, where: str) -> tuple[str, Any]:
    """One of several estimators, under its name or its number."""
    where = f"{where}[{number}]"
    if not _names_one(item):
        raise ConfigError(f"{where} is no estimator; write {_INSIDE}")
    table = dict(item)
    called = table.pop("name", str(number))
    if not isinstance(called, str) or not called or "__" in called:
        raise ConfigError(f"{where}.name must be a word without '__', got {called!r}")
    return called, _inside(table, where)


def _inside(table: dict[str, Any], where: str) -> Any:
    if strange := sorted(table.keys() - {"estimator", "settings"}):
        raise ConfigError(f"{where}: unknown key {strange[0]!r}; write {_INSIDE}")
    settings = table.get("settings", {})
    if not isinstance(settings, dict):
        raise ConfigError(f"{where}.settings must be a table, got {settings!r}; write {_INSIDE}")
    return _built(table["estimator"], settings)
