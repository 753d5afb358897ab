"""What can be asked of a finished run: ``fedknot inspect``, ``privacy``, ``verify``, ``report``."""

from pathlib import Path
from typing import Annotated

import typer

from common.failures import FolderError
from common.files import write_text
from simulations.commands.options import AsJson, Folder
from simulations.commands.printing import show


def inspect(
    folder: Folder,
    client: Annotated[int | None, typer.Option(help="only this client's messages")] = None,
    round_: Annotated[int | None, typer.Option("--round", help="only this round's")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what crossed the wire and verify both sides' audit chains."""
    from simulations import inspection

    show(inspection.inspect(folder, client, round_), inspection.table, as_json)


def privacy(folder: Folder, as_json: AsJson = False) -> None:
    """Say what crossed, what is guaranteed, what attacks found and what it cost."""
    from simulations.privacy_report import of_folder
    from simulations.reporting.privacy import lines

    show(of_folder(folder), lines, as_json)


def verify(folder: Folder, as_json: AsJson = False) -> None:
    """Run the experiment of a finished run again and compare hashes; nothing is changed."""
    from simulations import verification
    from simulations.screen import bars

    with bars(as_json) as progress:
        found = verification.verify(folder, progress)
    show(found, verification.lines, as_json)


def report(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="run folders")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="where to write it", show_default="DIR/report.html; of several side-by-side.html"
        ),
    ] = None,
) -> None:
    """Write the report of a run anew, or one of several side by side; print its path."""
    from simulations.folder import summary_of
    from simulations.reporting.beside import build_side_by_side
    from simulations.reporting.report import build_report

    if len(folders) > 1:
        path, page = out or Path("side-by-side.html"), build_side_by_side(folders)
    else:
        path = out or folders[0] / "report.html"
        page = build_report(folders[0], summary_of(folders[0]))
    try:
        write_text(path, page)
    except OSError as error:
        why = (error.strerror or "it cannot be made").lower()
        raise FolderError(f"cannot write {path} ({why}); give another --out") from error
    typer.echo(path)
