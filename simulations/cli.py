"""The command ``fedknot``: what a user types."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, cast

import click
import typer

from common.failures import ConfigError, Failure
from common.files import full_disk_is_a_failure, read_json

app = typer.Typer(
    name="fedknot",
    help="Federated distillation: private teachers, soft predictions, optimal transport.",
    no_args_is_help=True,
    suggest_commands=False,  # click itself makes suggestions
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data = typer.Typer(help="Data sets and caches.", no_args_is_help=True)
app.add_typer(data, name="data")
benches = typer.Typer(help="Benchmarks, with the peers installed beside.", no_args_is_help=True)
app.add_typer(benches, name="bench")

Experiment = Annotated[str, typer.Argument(help="a shipped name or a TOML file")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="TOML assignments, e.g. 'data.num_clients = 8'; repeatable"),
]
Seed = Annotated[int | None, typer.Option(help="wins over the file and --set", min=0)]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object and nothing else")]
Folder = Annotated[Path, typer.Argument(help="a run folder")]
Kinds = Annotated[
    str | None,
    typer.Option(help="kinds or inline tables with a comma between them; all for every kind"),
]


@app.command("run")
def run_(  # noqa: PLR0913 - one parameter per option of the command
    experiment: Annotated[
        str | None,
        typer.Argument(help="a shipped name or a TOML file", show_default="quickstart"),
    ] = None,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="run folder, new or empty")] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            click_type=click.Choice(["ray", "inline", "auto"]),
            help="ray: Flower on Ray; inline: one process, same bits",
            show_default="ray",
        ),
    ] = None,
    ray_address: Annotated[str | None, typer.Option(help="of a Ray cluster that runs")] = None,
    seed: Seed = None,
    resume: Annotated[
        Path | None, typer.Option(help="go on with the run in this folder; it says which it is")
    ] = None,
    force_new_run: Annotated[
        bool, typer.Option("--force-new-run", help="move the folder aside and start anew in it")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="print the report's path only")] = False,
    as_json: AsJson = False,
) -> None:
    """Run one experiment: provision, federate, observe; a report at the end."""
    from simulations.folder import summary_of
    from simulations.screen import bars
    from simulations.starting import Order, start
    from simulations.summary import lines

    order = Order(
        experiment,
        tuple(overrides or ()),
        seed,
        out,
        resume,
        force_new_run,
        cast(Any, backend),
        ray_address,
    )
    with bars(quiet or as_json) as progress:
        folder = start(order, progress, _say)
    summary = summary_of(folder)
    if as_json:
        _print(summary)
    elif quiet:
        typer.echo(folder / "report.html")
    else:
        typer.echo("\n".join(lines(summary, folder)))


@app.command()
def compare(  # noqa: PLR0913 - one parameter per option of the command
    experiment: Experiment = "quickstart",
    losses: Kinds = None,
    weightings: Kinds = None,
    aggregators: Kinds = None,
    geometries: Kinds = None,
    seeds: Annotated[str, typer.Option(help="one base run each")] = "0,1,2,3,4",
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="folder, new or begun before")] = None,
    backend: Annotated[
        str,
        typer.Option(
            click_type=click.Choice(["ray", "inline", "auto"]), help="of the base runs; same bits"
        ),
    ] = "inline",
    quiet: Annotated[bool, typer.Option("--quiet", help="print the report's path only")] = False,
    as_json: AsJson = False,
) -> None:
    """Train every arm on the same predictions; say what geometry does beyond a temperature."""
    from simulations.comparing.choices import Asked
    from simulations.comparing.comparison import Call, read_seeds
    from simulations.comparing.comparison import compare as run_all
    from simulations.comparing.files import lines
    from simulations.experiment import read
    from simulations.screen import bars

    asked = Asked(losses, weightings, aggregators, geometries)
    made = read(experiment, overrides)
    call = Call(made, experiment, asked, read_seeds(seeds), cast(Any, backend))
    with bars(quiet or as_json) as progress:
        folder = run_all(call, out, progress)
    if quiet:
        typer.echo(folder / "report.html")
    else:
        _show(read_json(folder / "compare.json"), lambda made: lines(made, folder), as_json)


@app.command()
def plan(
    experiment: Experiment = "quickstart",
    overrides: Overrides = None,
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    """Show who would hold what and what would cross, before anything is trained."""
    from simulations.experiment import read
    from simulations.preview import preview, table

    made = preview(read(experiment, overrides, seed))
    _show(made, table, as_json)


@app.command()
def inspect(
    folder: Folder,
    client: Annotated[int | None, typer.Option(help="only this client's messages")] = None,
    round_: Annotated[int | None, typer.Option("--round", help="only this round's")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what crossed the wire and verify both sides' audit chains."""
    from simulations import inspection

    _show(inspection.inspect(folder, client, round_), inspection.table, as_json)


@app.command()
def verify(folder: Folder, as_json: AsJson = False) -> None:
    """Run the experiment of a finished run again and compare hashes; nothing is changed."""
    from simulations import verification
    from simulations.screen import bars

    with bars(as_json) as progress:
        found = verification.verify(folder, progress)
    _show(found, verification.lines, as_json)


@app.command()
def report(folder: Folder) -> None:
    """Write report.html of a finished run anew and print its path."""
    from simulations.folder import summary_of
    from simulations.reporting.report import write_report

    write_report(folder, summary_of(folder))
    typer.echo(folder / "report.html")


@app.command("list")
def list_(
    family: Annotated[str | None, typer.Argument(help="e.g. losses; all if left out")] = None,
    as_json: AsJson = False,
) -> None:
    """List every component with its one-line manual and its settings."""
    from simulations.catalogue import catalogue, table

    _show(catalogue(family), table, as_json)


@data.command("list")
def data_list(as_json: AsJson = False) -> None:
    """List the data sets and whether they are in the cache."""
    from simulations.data import datasets

    rows = [{"kind": k, "manual": m, "cached": c} for k, m, c in datasets()]
    _show(
        {"datasets": rows},
        lambda d: [
            f"{r['kind']:12}{'cached' if r['cached'] else '-':8}{r['manual']}"
            for r in d["datasets"]
        ],
        as_json,
    )


@data.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="a data set, e.g. vader")],
    source: Annotated[
        Path | None, typer.Option("--from", help="a file or folder already at hand")
    ] = None,
) -> None:
    """Fetch a data set into the cache and check its hash."""
    from simulations.data import fetch

    typer.echo(fetch(name, source))


@data.command("describe")
def data_describe(
    name: Annotated[str, typer.Argument(help="a data set, e.g. vader")], as_json: AsJson = False
) -> None:
    """Show rows, classes, source, licence and known faults of a data set."""
    from simulations.data import describe

    _show(describe(name), lambda d: [f"{key:18}{value}" for key, value in d.items()], as_json)


@data.command("clear")
def data_clear() -> None:
    """Empty our caches: data sets and features of texts."""
    from simulations.data import clear

    typer.echo(f"freed {clear() / 1e6:.1f} MB")


@benches.command("ot")
def bench_ot(
    workload: Annotated[
        list[str] | None, typer.Option(help="B,K,C: samples, teachers, labels; repeatable")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="about how long in all; 300 if left out", min=0)
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="two costs instead of all, and --seconds 60")
    ] = False,
    large: Annotated[bool, typer.Option("--large", help="1,000 labels too: minutes more")] = False,
    show_floors: Annotated[
        bool, typer.Option("--floors", help="also what is promised and whether it holds")
    ] = False,
    seed: Annotated[int, typer.Option(help="of costs and distributions", min=0)] = 7,
    as_json: AsJson = False,
) -> None:
    """Time exact transport beside KNOT's own call, geomloss, POT and KL, on one thread."""
    from simulations.benches.ot import QUICK, bench
    from simulations.benches.tables import floor_table, table
    from simulations.benches.workloads import DEFAULT, LARGE, Workload
    from simulations.screen import bars

    loads = [Workload.parse(text) for text in workload or []] or list(DEFAULT)
    budget = seconds if seconds is not None else 60.0 if quick else 300.0
    with bars(as_json) as progress:
        made = bench(
            [*loads, LARGE] if large else loads, budget, seed, progress, QUICK if quick else None
        )
    _show(made, lambda m: table(m) + (["", *floor_table(m)] if show_floors else []), as_json)


@benches.command("fuzz")
def bench_fuzz(
    inputs: Annotated[int, typer.Option(help="messages in all", min=1)] = 1_000_000,
    seed: Annotated[int, typer.Option(help="of messages and damages", min=0)] = 7,
    as_json: AsJson = False,
) -> None:
    """Feed damaged messages to decoder and gate; nothing may get in by a trick."""
    from simulations.benches.fuzz import check, fuzz, lines
    from simulations.screen import bars

    with bars(as_json) as progress:
        made = fuzz(inputs, seed, progress)
    _show(made, lines, as_json)
    check(made)


class Terminated(BaseException):
    """SIGTERM; like KeyboardInterrupt, so that everything is ended in order."""


def main() -> None:
    """Entry point: one line and the exit code of its kind, whatever goes wrong."""
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, _terminate)  # a shell may have it ignored
    raise SystemExit(_call())


def _call() -> int:
    try:
        with full_disk_is_a_failure():
            code = app(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as bare:
        print(bare.format_message(), file=sys.stderr)
        return ConfigError.exit_code
    except (click.ClickException, Failure) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
        kind = error.exit_code if isinstance(error, Failure) else ConfigError.exit_code
        print(f"fedknot: {' '.join(text.split())}", file=sys.stderr)
        return kind
    except Terminated:
        print("fedknot: terminated", file=sys.stderr)
        return 143
    if code == 130:  # what typer makes of Ctrl-C
        print("fedknot: interrupted", file=sys.stderr)
    return code if isinstance(code, int) else 0


def _terminate(number: int, frame: FrameType | None) -> None:
    """End in order; whoever asks twice does not want to wait for that."""
    del frame
    signal.signal(signal.SIGTERM, _end_at_once)
    signal.signal(signal.SIGINT, _end_at_once)
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated


def _end_at_once(number: int, frame: FrameType | None) -> None:
    """No file can be half written by this, and the parts of the run end by themselves."""
    del frame
    os.write(2, b"fedknot: ended at once; the run can be resumed\n")
    os._exit(128 + number)


def _say(line: str) -> None:
    print(f"fedknot: {line}", file=sys.stderr)


def _show(made: dict[str, Any], table: Callable[[dict[str, Any]], list[str]], bare: bool) -> None:
    if bare:
        _print(made)
    else:
        typer.echo("\n".join(table(made)))


def _print(made: dict[str, Any]) -> None:
    typer.echo(json.dumps(made, allow_nan=False))
