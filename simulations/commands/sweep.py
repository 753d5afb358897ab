"""``fedknot sweep``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import click
import typer

from common.failures import ConfigError
from common.files import read_json
from simulations.commands.options import AsJson, Backend, Begun, Overrides, Quiet
from simulations.commands.printing import show

if TYPE_CHECKING:
    from simulations.ranking.league import Call
    from simulations.sweeping.asked import Asked


def sweep(  # noqa: PLR0913 - one parameter per option of the command
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|EXPERIMENT",
            help="a shipped sweep, league or experiment, or a TOML file of any sort",
        ),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(help="a TOML list, e.g. 'data.num_clients = [4, 16]'; repeatable"),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="one run each per setting", show_default="0,1,2")
    ] = None,
    overrides: Overrides = None,
    out: Begun = None,
    resume: Annotated[
        Path | None, typer.Option(help="go on with the sweep in this folder; it says which it is")
    ] = None,
    backend: Backend = "inline",
    jobs: Annotated[int, typer.Option(help="runs at a time", min=1)] = 1,
    keep: Annotated[
        str,
        typer.Option(
            click_type=click.Choice(["figures", "all"]),
            help="of each run folder: what tables need, or all of it",
        ),
    ] = "figures",
    only: Annotated[
        list[str] | None, typer.Option(help="of a league: this setting; repeatable")
    ] = None,
    stage: Annotated[
        str,
        typer.Option(
            click_type=click.Choice(["choose", "final"]),
            help="of a league: graded on the validation slice, or on test rows",
        ),
    ] = "final",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run a grid of experiments over seeds, or a league; tables, intervals and one report."""
    if name is not None and _is_league(name):
        _refuse({"--vary": vary, "--set": overrides, "--resume": resume,
                 "--backend": backend != "inline"}, "a league says itself what is run")  # fmt: skip
        _league(_call(name, stage, only or [], seeds), out, jobs, quiet, as_json)
        return
    _refuse({"--only": only, "--stage": stage != "final"}, f"{name or 'a grid'} is no league")
    how = (cast(Any, backend), jobs, cast(Any, keep))
    _grid(_asked(name, vary, seeds, overrides, out, resume), resume or out, how, quiet, as_json)


def _refuse(given: dict[str, Any], why: str) -> None:
    """Options that mean nothing here are not passed over."""
    if told := [option for option, value in given.items() if value]:
        raise ConfigError(f"{why}; leave out {', '.join(told)}")


def _asked(
    name: str | None,
    vary: list[str] | None,
    seeds: str | None,
    overrides: list[str] | None,
    out: Path | None,
    resume: Path | None,
) -> "Asked":
    from simulations.comparing.comparison import read_seeds
    from simulations.sweeping.asked import begun, sweeps, typed

    if resume is not None:
        if name or vary or seeds or overrides or out:
            raise ConfigError("--resume names a sweep already; leave out what it consists of")
        return begun(resume)
    if name is None:
        raise ConfigError(f"say what to sweep: {', '.join(sweeps())}, or an experiment and --vary")
    numbers = None if seeds is None else read_seeds(seeds)
    return typed(name, vary or [], numbers, overrides or [])


def _grid(
    asked: "Asked", out: Path | None, how: tuple[Any, int, Any], quiet: bool, as_json: bool
) -> None:
    from simulations.screen import bars
    from simulations.sweeping.files import lines
    from simulations.sweeping.sweep import How, complaint
    from simulations.sweeping.sweep import sweep as run_all

    with bars(quiet or as_json) as progress:
        folder = run_all(asked, out, How(*how), progress)
    made = read_json(folder / "sweep.json")
    if quiet:
        typer.echo(folder / "report.html")
    else:
        show(made, lambda made: lines(made, folder), as_json)
    if failed := complaint(made, folder):
        raise failed


def _is_league(name: str) -> bool:
    from simulations.ranking.definition import is_league

    return is_league(name)


def _call(name: str, stage: str, only: list[str], seeds: str | None) -> "Call":
    from simulations.comparing.comparison import read_seeds
    from simulations.ranking.league import Call

    numbers = None if seeds is None else read_seeds(seeds)
    return Call(name, cast(Any, stage), tuple(only), numbers)


def _league(call: "Call", out: Path | None, jobs: int, quiet: bool, as_json: bool) -> None:
    from simulations.ranking.files import lines
    from simulations.ranking.league import run_league
    from simulations.screen import bars

    with bars(quiet or as_json) as progress:
        folder = run_league(call, out, progress, jobs)
    if quiet:
        typer.echo(folder / "report.html")
    else:
        show(read_json(folder / "league.json"), lambda made: lines(made, folder), as_json)
