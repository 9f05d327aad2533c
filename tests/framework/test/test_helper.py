"""The test case that applications mount their sites in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CASES = """
import cherrypy
from cherrypy.test import helper

class Root:
    @cherrypy.expose
    def index(self):
        return str(cherrypy.config.get("mine"))

class ATest(helper.CPWebCase):
    calls = []

    @classmethod
    def setup_class(cls):
        cls.calls.append("up")
        super().setup_class()

    @classmethod
    def teardown_class(cls):
        super().teardown_class()
        cls.calls.append("down")

    @classmethod
    def setup_server(cls):
        cherrypy.config.update({"mine": 1})
        cherrypy.tree.mount(Root(), "/")

    def test_page(self):
        self.getPage("/")
        self.assertBody("1")

class BTest(helper.CPWebCase):
    @classmethod
    def setup_server(cls):
        cherrypy.tree.mount(Root(), "/")

    def test_page(self):
        assert ATest.calls == ["up", "down"], ATest.calls
        self.getPage("/")
        self.assertBody("None")
"""


@pytest.mark.parametrize("runner", [["pytest", "-q", "-p", "no:cacheprovider"], ["unittest"]])
def test_classes_are_set_up_once_and_leave_nothing(tmp_path: Path, runner: list[str]) -> None:
    """Whoever runs them; what subclasses do in ``setup_class`` is done once, and configuration stays in its class."""
    (tmp_path / "test_cases.py").write_text(CASES)
    command = [sys.executable, "-m", *runner, "test_cases.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
