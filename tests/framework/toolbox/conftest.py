"""Toolboxes of one test are gone in the next."""

from __future__ import annotations

import pytest

import cherrypy


@pytest.fixture(autouse=True)
def own_toolboxes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give all applications of a test a dict of their own: CherryPy has one for all, on the class."""
    monkeypatch.setattr(cherrypy.Application, "toolboxes", dict(cherrypy.Application.toolboxes))
