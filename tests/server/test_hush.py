"""What Flower logs of an error bears no text; what the server logs otherwise is as it was."""

import io
import logging
import traceback

import pytest
from flwr.supercore import log

from server.hush import hush

SECRET = "CANARY-815 a private text"


@pytest.fixture
def logged():
    """What Flower's logger writes, all of it."""
    logger, stream = logging.getLogger("flwr"), io.StringIO()
    handler, before = logging.StreamHandler(stream), list(logger.filters)
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)
    logger.filters[:] = before


class Behind(Exception):
    """As Ray's: its text has the text of the error behind it."""


def fail():
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        raise Behind(f"the app failed: {error}") from error


def test_an_error_is_logged_by_its_type_only(logged):
    """In the ways in which flwr 1.41 logs one, and in those in which it might."""
    hush()
    try:
        fail()
    except Behind as error:
        log(logging.ERROR, error)
        log(logging.ERROR, traceback.format_exc())
        log(logging.ERROR, "it was %s", error, exc_info=True, stack_info=True)
        logging.getLogger("flwr").exception("once more: %s", error)
    assert "CANARY" not in logged.getvalue()
    assert (
        logged.getvalue().splitlines()
        == ["Behind; its text may be a client's and is not logged"] * 4
    )


def test_without_it_the_text_is_there(logged):
    try:
        fail()
    except Behind as error:
        log(logging.ERROR, error)
        log(logging.ERROR, traceback.format_exc())
    assert logged.getvalue().count(SECRET) > 2


def test_what_is_no_error_is_logged_as_it_is(logged):
    hush()
    log(logging.INFO, "round %s of %s", 1, 3)
    assert logged.getvalue() == "round 1 of 3\n"
