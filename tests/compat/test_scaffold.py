"""The site that is there to be copied."""

from __future__ import annotations

import sys
from pathlib import Path

import requests


def test_it_runs_by_cherryd(start_program, tmp_path: Path) -> None:
    """With pages, static files of both kinds, and refusals."""
    (tmp_path / "port.conf").write_text(
        "[global]\nserver.socket_port = 0\nengine.autoreload.on = False\nlog.screen = True\n"
    )
    program = start_program([sys.executable, "-m", "cherrypy", "-c", "port.conf", "-i", "cherrypy.scaffold"])

    assert "It works" in requests.get(program.url, timeout=10).text
    assert requests.get(f"{program.url}/sum?a=1&b=2", timeout=10).text == "1 + 2 = 3"
    assert requests.get(f"{program.url}/sum?a=1&b=x", timeout=10).status_code == 400
    assert requests.get(f"{program.url}/sum?a=1", timeout=10).status_code == 404
    assert "sans-serif" in requests.get(f"{program.url}/static/site.css", timeout=10).text
    assert "sans-serif" in requests.get(f"{program.url}/files/site.css", timeout=10).text
    assert requests.get(f"{program.url}/other?a=3&c=Ada", timeout=10).text.startswith("3 bananas for Ada, see http://")
    assert "2 steps" in requests.get(f"{program.url}/a/b?c=d", timeout=10).text
    assert program.stop() == 0
