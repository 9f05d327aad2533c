"""The error log under a server of others."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from cherrypy.app.guestlog import attach
from cherrypy.context import serving


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    yield
    logging.getLogger("guest").handlers.clear()
    serving.clear()


def make_log() -> logging.Logger:
    """A logger with this handler alone; made within a test, since pytest adds its own handlers when that begins."""
    log = logging.getLogger("guest")
    log.setLevel("INFO")
    log.propagate = False
    log.handlers.clear()
    attach(log)
    return log


def test_a_requests_lines_go_to_its_server(capsys: pytest.CaptureFixture[str]) -> None:
    """All levels, to ``wsgi.errors`` and nowhere else."""
    log = make_log()
    errors = io.StringIO()
    serving.load(SimpleNamespace(wsgi_environ={"wsgi.errors": errors}), None)
    log.info("a note")
    log.error("a failure")

    assert errors.getvalue() == "a note\na failure\n"
    assert capsys.readouterr().err == ""


def test_outside_of_requests_failures_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """A monitor that fails is seen; that the bus starts is not."""
    log = make_log()
    log.info("Bus STARTED")
    log.warning("the disk is full")

    assert capsys.readouterr().err == "the disk is full\n"


def test_what_others_take_is_left_to_them(capsys: pytest.CaptureFixture[str]) -> None:
    """A handler that came later, or that of one application, would write the line a second time."""
    log = make_log()
    others = io.StringIO()
    child = log.getChild("one")
    child.addHandler(logging.StreamHandler(others))
    child.error("once")
    log.error("here")
    child.handlers.clear()

    assert others.getvalue() == "once\n"
    assert capsys.readouterr().err == "here\n"
