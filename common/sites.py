"""Where a site keeps the stores of a run: looked up by token, never told by the server.

A question carries a token that means something only at the client's own site. So the
server needs no path to any store; in a deployment ``--node-config "store=..."`` says it.
"""

from pathlib import Path

from common.failures import FolderError
from common.files import read_json, write_json
from common.places import sites_dir


def register(token: str, stores: Path) -> None:
    """File the folder in which this site keeps its clients' stores."""
    write_json(_page(token), {"stores": str(stores.resolve())}, mode=0o600)


def find(token: str) -> Path:
    """The folder filed under ``token``.

    Raises:
        FolderError: this site has no store for the token.
    """
    if not token.isalnum():
        raise FolderError("the site token of a question must be letters and digits")
    try:
        return Path(read_json(_page(token))["stores"])
    except OSError as error:  # not there, or a token that no file can be named after
        raise FolderError("this site holds no store for that run; provision it first") from error


def forget(token: str) -> None:
    """Strike the entry; a run that has ended is asked nothing more."""
    _page(token).unlink(missing_ok=True)


def _page(token: str) -> Path:
    return sites_dir() / f"{token}.json"
