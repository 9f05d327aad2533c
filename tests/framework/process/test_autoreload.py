"""The autoreloader."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import pytest

from cherrypy.process import autoreload
from cherrypy.process.autoreload import Autoreloader
from cherrypy.process.wspbus import Bus


@pytest.fixture
def reloader(tmp_path: Path) -> Autoreloader:
    """One that watches one file and no modules."""
    made = Autoreloader(Bus(), match="^$")
    (tmp_path / "watched.py").write_text("1")
    made.files.add(str(tmp_path / "watched.py"))
    return made


def test_a_changed_file_restarts(reloader: Autoreloader) -> None:
    """At the look after the change; the first look only remembers."""
    said: list[str] = []
    reloader.bus.subscribe("log", lambda msg, level: said.append(msg))
    (file,) = reloader.files
    reloader.run()
    reloader.run()
    assert not reloader.bus.execv

    os.utime(file, (9e9, 9e9))
    reloader.run()

    assert reloader.bus.execv
    assert said[0] == f"Restarting because {file} changed."


def test_a_file_that_vanished_restarts(reloader: Autoreloader) -> None:
    """Deleting is changing."""
    (file,) = reloader.files
    reloader.run()
    Path(file).unlink()

    reloader.run()

    assert reloader.bus.execv


def test_a_file_that_never_was_is_left_alone(reloader: Autoreloader) -> None:
    """Modules may name files that do not exist."""
    reloader.files = {"/nonexistent/file.py"}

    reloader.run()
    reloader.run()

    assert not reloader.bus.execv


def test_modules_are_watched_by_name() -> None:
    """The pattern is for module names."""
    reloader = Autoreloader(Bus(), match=r"cherrypy\.process\.autoreload$")

    assert reloader.sysfiles() == {autoreload.__file__}


@pytest.mark.parametrize("file", [None, "", object()])
def test_a_module_without_a_file(file: object) -> None:
    """Namespace packages have None, stand-ins anything."""
    module = types.ModuleType("odd")
    module.__file__ = file

    assert Autoreloader._file_for_file_module(module) is None


def test_a_module_in_an_archive() -> None:
    """The archive is what changes."""
    module = types.ModuleType("zipped")
    module.__loader__ = types.SimpleNamespace(archive="/lib/app.zip")

    assert Autoreloader._file_for_module(module) == "/lib/app.zip"


def test_importing_while_looking_is_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that grow new neighbours when touched do not break the look."""

    class Importing(types.ModuleType):
        def __getattr__(self, name: str) -> object:
            sys.modules[f"grown_{len(sys.modules)}"] = types.ModuleType("grown")
            raise AttributeError(name)

    before = set(sys.modules)
    monkeypatch.setitem(sys.modules, "importing", Importing("importing"))

    Autoreloader(Bus()).sysfiles()

    for name in set(sys.modules) - before - {"importing"}:
        del sys.modules[name]
