"""The command ``fedknot``: what a user types."""

import os
import signal
import sys
from types import FrameType

import click
import typer

from common.failures import ConfigError, Failure
from common.files import full_disk_is_a_failure
from simulations.commands import (
    after,
    attack,
    before,
    bench,
    compare,
    data,
    frontier,
    poison,
    run,
    sweep,
    yardsticks,
)

app = typer.Typer(
    name="fedknot",
    help="Federated distillation: private teachers, soft predictions, optimal transport.",
    no_args_is_help=True,
    suggest_commands=False,  # click itself makes suggestions
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("sweep")(sweep.sweep)
app.command("compare")(compare.compare)
app.command("attack")(attack.attack)
app.command("frontier")(frontier.frontier)
app.command("poison")(poison.poison)
app.command("yardsticks")(yardsticks.yardsticks)
app.command("plan")(before.plan)
app.command("inspect")(after.inspect)
app.command("privacy")(after.privacy)
app.command("verify")(after.verify)
app.command("report")(after.report)
app.command("list")(before.list_)
app.add_typer(data.app, name="data")
app.add_typer(bench.app, name="bench")


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
