"""What Flower's engine logs of an error in the server's process: its type, never its text.

Flower logs what a node raised as the exception itself and as a traceback, which bears the text of
every exception behind it (flwr 1.41, ``vce_api.worker``), and the server's log stays in the run
folder. What the server itself raises ends the process, and is told there.
"""

import logging
import sys


def hush() -> None:
    """From now on have Flower's logger say nothing of an exception but its type."""
    logging.getLogger("flwr").addFilter(_without_text)


def _without_text(record: logging.LogRecord) -> bool:
    """Blank whatever is logged while an exception is handled: it may be a client's."""
    kind = sys.exc_info()[0]
    if kind is not None:
        record.msg, record.args = (
            "%s; its text may be a client's and is not logged",
            (kind.__name__,),
        )
        record.exc_info = record.exc_text = record.stack_info = None
    return True
