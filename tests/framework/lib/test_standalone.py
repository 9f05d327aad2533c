"""Tools that people start from a shell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cherrypy.lib import profiler
from cherrypy.lib.standalone import quickstart


def test_a_page_can_be_served_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Through whatever the framework's top has put there."""
    served: list[Any] = []
    monkeypatch.setattr("cherrypy.lib.standalone.quickstart", [lambda *args: served.append(args)])
    profiler.serve(str(tmp_path), 1234)

    assert isinstance(served[0][0], profiler.Profiler)
    assert served[0][2]["global"]["server.socket_port"] == 1234
    monkeypatch.setattr("cherrypy.lib.standalone.quickstart", [])
    with pytest.raises(RuntimeError, match="import cherrypy first"):
        profiler.serve(str(tmp_path), 1234)
    assert isinstance(quickstart, list)
