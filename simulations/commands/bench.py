"""``fedknot bench``: benchmarks, and checks that run long."""

from pathlib import Path
from typing import Annotated

import click
import typer

from simulations.commands.options import AsJson
from simulations.commands.printing import say, show

app = typer.Typer(help="Benchmarks, with the peers installed beside.", no_args_is_help=True)


@app.command("ot")
def ot(
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
    show(made, lambda m: table(m) + (["", *floor_table(m)] if show_floors else []), as_json)


@app.command("fuzz")
def fuzz_(
    inputs: Annotated[int, typer.Option(help="messages in all", min=1)] = 1_000_000,
    seed: Annotated[int, typer.Option(help="of messages and damages", min=0)] = 7,
    as_json: AsJson = False,
) -> None:
    """Feed damaged messages to decoder and gate; nothing may get in by a trick."""
    from simulations.benches.fuzz import check, fuzz, lines
    from simulations.screen import bars

    with bars(as_json) as progress:
        made = fuzz(inputs, seed, progress)
    show(made, lines, as_json)
    check(made)


Backend = Annotated[
    str,
    typer.Option(
        click_type=click.Choice(["ray", "inline"]), help="where the clients live; same bits"
    ),
]


@app.command("soak")
def soak_(
    kills: Annotated[int, typer.Option(help="in all", min=1)] = 100,
    rounds: Annotated[int, typer.Option(help="of every run", min=1)] = 20,
    clients: Annotated[int, typer.Option(help="of every run", min=1)] = 50,
    seed: Annotated[int, typer.Option(help="of the world, moments and victims", min=0)] = 7,
    out: Annotated[Path | None, typer.Option(help="folder, new or empty")] = None,
    backend: Backend = "ray",
    as_json: AsJson = False,
) -> None:
    """Kill runs at random moments, go on with them; they must end with the same bits."""
    from simulations.benches._place import Plan
    from simulations.benches.soak import check, lines, soak
    from simulations.events import silent
    from simulations.screen import bars

    with bars(as_json) as progress:
        tell = say if progress is silent else lambda line: None
        made = soak(Plan(kills, rounds, clients, seed, backend), out, progress, tell)
    show(made, lines, as_json)
    check(made)


@app.command("rounds")
def rounds_(
    rounds: Annotated[int, typer.Option(help="of the run", min=1)] = 200,
    clients: Annotated[int, typer.Option(help="of the run", min=1)] = 100,
    out: Annotated[Path | None, typer.Option(help="folder, new or empty; kept")] = None,
    backend: Backend = "ray",
    as_json: AsJson = False,
) -> None:
    """Run for many rounds; say of memory, files and seconds whether they grow."""
    from simulations.benches.rounds import lines, rounds_bench
    from simulations.screen import bars

    with bars(as_json) as progress:
        made = rounds_bench(rounds, clients, backend, progress, out=out)
    show(made, lines, as_json)


@app.command("scale")
def scale_(
    clients: Annotated[str, typer.Option(help="how many, ascending")] = "10,100,1000",
    work: Annotated[
        str,
        typer.Option(
            click_type=click.Choice(["trivial", "real", "side_by_side", "both"]),
            help="what a client does: count labels, or train a network for 200 steps, alone or "
            "with others, or first one and then the other",
        ),
    ] = "trivial",
    rounds: Annotated[int, typer.Option(help="of every run", min=2)] = 10,
    backend: Backend = "ray",
    as_json: AsJson = False,
) -> None:
    """Run with more and more clients; say of seconds and memory how they grow."""
    from simulations.benches.apart import apart_bench
    from simulations.benches.apart import lines as lines_of_both
    from simulations.benches.scale import counts, lines, scale_bench
    from simulations.screen import bars

    asked = counts(clients)
    if work == "both":
        with bars(as_json) as progress:
            made = apart_bench(asked, backend, progress, rounds=rounds)
        show(made, lines_of_both, as_json)
        return
    with bars(as_json) as progress:
        made = scale_bench(asked, backend, progress, work=work, rounds=rounds)
    show(made, lines, as_json)
