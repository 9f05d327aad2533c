"""The autoreloader."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
import types
import zipfile
import zipimport
from pathlib import Path

import pytest

from cherrypy.process import autoreload
from cherrypy.process.autoreload import Autoreloader
from cherrypy.process.wspbus import Bus


@pytest.fixture
def reloader(tmp_path: Path) -> Autoreloader:
    """One that watches one file and no modules, and has looked once."""
    made = Autoreloader(Bus(), match="^$")
    (tmp_path / "watched.py").write_text("1")
    made.files.add(str(tmp_path / "watched.py"))
    made.run()
    return made


@pytest.fixture
def said(reloader: Autoreloader) -> list[str]:
    """What its bus logs."""
    lines: list[str] = []
    reloader.bus.subscribe("log", lambda msg, level: lines.append(msg))
    return lines


def watched(reloader: Autoreloader) -> Path:
    """The file that is watched."""
    (file,) = reloader.files
    return Path(file)


@pytest.mark.parametrize("time", [9e9, 1e9])
def test_a_changed_file_restarts(reloader: Autoreloader, said: list[str], time: float) -> None:
    """At the look after the change, also to an older file; the first look only remembers."""
    file = watched(reloader)
    reloader.run()
    assert not reloader.bus.execv

    os.utime(file, (time, time))
    reloader.run()

    assert reloader.bus.execv
    assert said[0] == f"Restarting because {file} changed."


def test_a_file_that_vanished_restarts(reloader: Autoreloader) -> None:
    """Deleting is changing, once it is sure."""
    watched(reloader).unlink()

    reloader.run()
    at_first = reloader.bus.execv
    reloader.run()

    assert (at_first, reloader.bus.execv) == (False, True)


def test_a_file_that_is_being_replaced_is_waited_for(reloader: Autoreloader) -> None:
    """Editors and version control remove it first: the fresh process would not find it."""
    file = watched(reloader)
    stat = os.stat(file)
    file.unlink()
    reloader.run()
    file.write_text("2")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    reloader.run()
    file.unlink()
    reloader.run()

    assert not reloader.bus.execv


def test_a_file_that_does_not_compile_is_not_restarted_into(reloader: Autoreloader, said: list[str]) -> None:
    """The process would die of it, and nobody would look at the next change."""
    file = watched(reloader)
    file.write_text("def broken(:\n")
    os.utime(file, (9e9, 9e9))

    reloader.run()
    reloader.run()
    while_broken = reloader.bus.execv
    file.write_text("2")
    os.utime(file, (9.1e9, 9.1e9))
    reloader.run()

    assert not while_broken
    assert len([line for line in said if line.startswith(f"Not restarting: {file} changed, but does not compile")]) == 1
    assert reloader.bus.execv


def test_files_that_are_no_python_need_not_compile(tmp_path: Path, reloader: Autoreloader) -> None:
    """Configuration files are watched, too."""
    conf = tmp_path / "site.conf"
    conf.write_text("[global]")
    reloader.files.add(str(conf))
    reloader.run()
    os.utime(conf, (9e9, 9e9))

    reloader.run()

    assert reloader.bus.execv


def test_a_compiled_file_stands_for_its_source(tmp_path: Path) -> None:
    """Modules loaded from beside their source name the compiled one."""
    reloader = Autoreloader(Bus(), match="^$")
    (tmp_path / "module.py").write_text("1")
    reloader.files = [tmp_path / "module.pyc"]
    reloader.run()
    os.utime(tmp_path / "module.py", (9e9, 9e9))

    reloader.run()

    assert reloader.bus.execv


def test_a_change_during_a_start_does_not_end_the_process(reloader: Autoreloader) -> None:
    """An exit in the middle of a start would, with 70; it restarts as soon as the start is over."""
    os.utime(watched(reloader), (9e9, 9e9))
    reloader.bus.state = reloader.bus.states.STARTING

    reloader.run()
    while_starting = reloader.bus.execv
    reloader.bus.state = reloader.bus.states.STARTED
    reloader.run()

    assert (while_starting, reloader.bus.execv) == (False, True)


def test_a_file_that_never_was_is_left_alone(reloader: Autoreloader) -> None:
    """Modules may name files that do not exist."""
    reloader.files = {"/nonexistent/file.py", ""}

    reloader.run()
    reloader.run()

    assert not reloader.bus.execv


def test_modules_are_watched_by_name() -> None:
    """The pattern is for module names; it may be changed."""
    reloader = Autoreloader(Bus(), match=r"cherrypy\.process\.autoreload$")
    first = reloader.sysfiles()
    reloader.match = r"cherrypy\.process\.(autoreload|wspbus)$"

    assert first == {autoreload.__file__}
    assert len(reloader.sysfiles()) == 2


def test_the_defaults_are_the_documented_ones() -> None:
    """Every second, all modules, nothing else; in the thread called Autoreloader, after the daemon was made."""
    bus = Bus()
    reloader = Autoreloader(bus)

    assert (reloader.frequency, reloader.match, reloader.files, reloader.mtimes) == (1, ".*", set(), {})
    assert (reloader.start.priority, reloader.bus, reloader.callback) == (70, bus, reloader.run)

    reloader.start()

    assert reloader.thread is not None
    assert reloader.thread.name == "Autoreloader"
    reloader.stop()


@pytest.mark.parametrize("wrong", ["(", None, 5])
def test_a_pattern_that_is_none_is_refused(wrong: object) -> None:
    """When it is set; its thread would end in silence at its first look."""
    reloader = Autoreloader(Bus())

    with pytest.raises(ValueError, match=r"engine\.autoreload\.match is .*; it has to be a regular expression"):
        reloader.match = wrong

    assert reloader.match == ".*"


@pytest.mark.parametrize("paths", ["/a/b.py", Path("/a/b.py"), ["/a/b.py"], ("/a/b.py",), {"/a/b.py"}])
def test_files_may_be_given_in_any_form(paths: object) -> None:
    """Configuration files that are read later are still added to them."""
    reloader = Autoreloader(Bus())

    reloader.files = paths
    reloader.files.add("/c")

    assert {str(file) for file in reloader.files} == {"/a/b.py", "/c"}


def test_a_restart_forgets_what_was_seen(reloader: Autoreloader) -> None:
    """Between stop and start files may change as they like."""
    assert reloader.mtimes

    reloader.start()
    reloader.stop()

    assert reloader.mtimes == {}


@pytest.mark.parametrize("file", [None, "", object()])
def test_a_module_without_a_file(file: object) -> None:
    """Namespace packages have None, stand-ins anything."""
    module = types.ModuleType("odd")
    module.__file__ = file

    assert Autoreloader._file_for_file_module(module) is None


def test_relative_files_are_those_of_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the current folder is now."""
    monkeypatch.setattr(autoreload, "_module__file__base", "/started/here")
    module = types.ModuleType("relative")
    module.__file__ = "lib/../relative.py"

    assert Autoreloader._file_for_module(module) == "/started/here/relative.py"


def test_a_module_in_an_archive_is_watched_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive is what changes."""
    archive = tmp_path / "app.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("kirsch_zipped_module.py", "answer = 42")
    spec = zipimport.zipimporter(str(archive)).find_spec("kirsch_zipped_module")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "kirsch_zipped_module", module)

    assert Autoreloader(Bus(), match="kirsch_zipped_module").sysfiles() == {str(archive)}


def test_importing_while_looking_is_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that grow new neighbours when touched do not break the look, nor hide those behind them."""

    class Importing(types.ModuleType):
        def __getattr__(self, name: str) -> object:
            name = f"watched_grown_{len(sys.modules)}"
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
            raise AttributeError(name)

    last = types.ModuleType("watched_last")
    last.__file__ = "/lib/last.py"
    monkeypatch.setitem(sys.modules, "watched_importing", Importing("watched_importing"))
    monkeypatch.setitem(sys.modules, "watched_last", last)

    found = Autoreloader(Bus(), match="watched_").sysfiles()

    assert found == {"/lib/last.py"}
    assert any(name.startswith("watched_grown_") for name in sys.modules)


def test_a_lazy_module_that_fails_when_touched_does_not_end_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """It imports something that is not installed."""

    class Lazy(types.ModuleType):
        def __getattr__(self, name: str) -> object:
            raise ImportError("no module named tkinter")

    last = types.ModuleType("watched_last")
    last.__file__ = "/lib/last.py"
    monkeypatch.setitem(sys.modules, "watched_lazy", Lazy("watched_lazy"))
    monkeypatch.setitem(sys.modules, "watched_last", last)

    assert Autoreloader(Bus(), match="watched_").sysfiles() == {"/lib/last.py"}


WATCHING = """
    import os, sys
    from cherrypy.process import plugins
    from cherrypy.process.wspbus import Bus
    import neighbour
    print('run', flush=True)
    bus = Bus()
    if 'AGAIN' in os.environ:
        raise SystemExit(0)
    os.environ['AGAIN'] = '1'
    plugins.Autoreloader(bus, frequency=0.01, match='neighbour').subscribe()
    looked = []
    def touch():
        if bus.state is bus.states.STARTED and neighbour.__file__ in looker.mtimes:
            os.utime(neighbour.__file__, (9e9, 9e9))
    looker = next(iter(bus.listeners['start'])).__self__
    bus.subscribe('main', touch)
    bus.start()
    bus.block(interval=0.01)
"""


def test_a_whole_process_reloads_itself(tmp_path: Path) -> None:
    """With its module run as one, from a folder of its own."""
    (tmp_path / "watching.py").write_text(textwrap.dedent(WATCHING))
    (tmp_path / "neighbour.py").write_text("")

    done = subprocess.run([sys.executable, "-m", "watching"], cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stdout) == (0, "run\nrun\n"), done.stderr
