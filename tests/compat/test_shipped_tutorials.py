"""Every tutorial that comes with the package starts by ``python -m`` and answers."""

from __future__ import annotations

import pkgutil
import sys
from pathlib import Path

import pytest
import requests

import cherrypy.tutorial

LAUNCH = """
import runpy, sys, cherrypy
from cherrypy.conf import site
# The programs name port 8080 in tutorial.conf, which may be taken here.
given = site.Config._apply
def apply(self, config):
    config = config.get("global", config) if isinstance(config.get("global"), dict) else config
    given(self, {**config, **({"server.socket_port": 0} if "server.socket_port" in config else {})})
site.Config._apply = apply
cherrypy.engine.autoreload.match = "^nothing$"
runpy.run_module(sys.argv[1], run_name="__main__")
"""

# What is asked of each, and what has to be in the answer.
PAGES = {
    "tut01_helloworld": [("/", "Hello world!")],
    "tut02_expose_methods": [("/", "dinner"), ("/dinner", "potatoes")],
    "tut03_get_and_post": [("/greet?name=%3CAda%3E", "&lt;Ada&gt;"), ("/greet", "the form")],
    "tut04_complex_site": [("/", "bakery"), ("/bakery/", "bread"), ("/bakery/bread", "rye"), ("/fruit/", "pears")],
    "tut05_derived_objects": [("/", "Harbour"), ("/ferry/", "on the hour")],
    "tut06_default_method": [("/emma", "Jane Austen"), ("/unwritten", "Nobody wrote")],
    "tut07_sessions": [("/", "number 1"), ("/", "number 2"), ("/forget", "number 1")],
    "tut08_generators_and_yield": [("/", "Grace sings"), ("/live", "5")],
    "tut09_files": [("/", "document"), ("/download", "Files: one comes in")],
    "tut10_http_errors": [("/raised/403", "403 Forbidden"), ("/raised/418", "<p>This page raised it.</p>")],
}


def test_all_are_listed() -> None:
    """None is left untried."""
    assert {module.name for module in pkgutil.iter_modules(cherrypy.tutorial.__path__)} == set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_a_tutorial_runs(name: str, start_program, tmp_path: Path) -> None:
    """From start to SIGTERM."""
    program = start_program([sys.executable, "-c", LAUNCH, f"cherrypy.tutorial.{name}"])

    with requests.Session() as client:
        for path, expected in PAGES[name]:
            assert expected in client.get(program.url + path, timeout=10).text
    assert program.stop() == 0


def test_uploading(start_program) -> None:
    """The file tutorial counts what it is given."""
    program = start_program([sys.executable, "-c", LAUNCH, "cherrypy.tutorial.tut09_files"])

    answer = requests.post(f"{program.url}/upload", files={"document": ("a.bin", b"x" * 200_000)}, timeout=10)

    assert answer.text.startswith("a.bin has 200000 bytes")
