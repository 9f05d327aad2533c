"""A process that runs itself anew."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cherrypy.process import respawn, wspbus
from cherrypy.process.wspbus import Bus

RESTARTING = """
    import os, sys
    {before}
    from cherrypy.process.wspbus import Bus
    bus = Bus()
    if 'AGAIN' in os.environ:
        print('again', sys.argv[1:], os.getcwd(), sys.flags.optimize)
        bus.exit()
    else:
        os.environ['AGAIN'] = '1'
        bus.subscribe('main', bus.restart)
        bus.start()
        os.chdir('/')
        bus.block(interval=0.01)
"""


def again(tmp_path: Path, *command: str, before: str = "", **options: object) -> subprocess.CompletedProcess[str]:
    """Run the program that restarts once."""
    program = textwrap.dedent(RESTARTING).format(before=before)
    (tmp_path / "again.py").write_text(program)
    command = tuple(program if word == "PROGRAM" else word for word in command)
    return subprocess.run(
        [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, timeout=60, **options
    )


@pytest.mark.parametrize(
    ("command", "level"),
    [
        (["-c", "PROGRAM"], 0),
        (["again.py"], 0),
        (["-m", "again"], 0),
        (["-O", "-m", "again"], 1),
        (["-OO", "again.py"], 2),
    ],
)
def test_restart_runs_the_same_command_anew(tmp_path: Path, command: list[str], level: int) -> None:
    """As a program, a module, or from the command line, with its options; in the folder where it was started."""
    done = again(tmp_path, *command, "x y", "z")

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"again ['x y', 'z'] {tmp_path} {level}\n"


def test_a_program_that_changed_its_folder_early_is_found_again(tmp_path: Path) -> None:
    """Before it imported us, so that its relative path leads nowhere."""
    done = again(tmp_path, "again.py", before="os.chdir('/')")

    assert done.returncode == 0, done.stderr
    assert done.stdout == "again [] / 0\n"


def test_a_program_from_standard_input_says_that_it_cannot(tmp_path: Path) -> None:
    """It has been read, and is gone: the re-execution would end in silence."""
    done = again(tmp_path, "-", input=textwrap.dedent(RESTARTING).format(before=""))

    assert done.returncode == 1
    assert "RuntimeError: The process cannot be run anew: its program came from standard input." in done.stderr
    assert "engine.autoreload.on = False" in done.stderr


def test_an_interpreter_of_unknown_place_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is executed by chance."""
    monkeypatch.setattr(sys, "executable", "")
    monkeypatch.setattr(sys, "orig_argv", ["no-such-python", "app.py"])

    with pytest.raises(RuntimeError, match="where its interpreter \\('no-such-python'\\) lies is not known"):
        respawn.true_argv()


def test_an_interpreter_by_its_bare_name_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """``execv`` does not search the path."""
    monkeypatch.setattr(sys, "executable", "")
    monkeypatch.setattr(sys, "orig_argv", ["sh", "-m", "app"])
    monkeypatch.setattr(sys, "argv", ["app"])

    assert os.path.isabs(respawn.true_argv()[0])


def test_a_frozen_program_is_its_own_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without a command line from the kernel, there is no script between it and its arguments."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/shop/shop")
    monkeypatch.setattr(sys, "argv", ["./shop", "--port", "80"])
    monkeypatch.setattr(sys, "orig_argv", ["./shop", "--port", "80"])
    from_kernel = respawn.true_argv()
    monkeypatch.setattr(sys, "orig_argv", [])

    assert from_kernel == respawn.true_argv() == ["/opt/shop/shop", "--port", "80"]


@pytest.mark.parametrize(("limit", "marked"), [(7, [7]), (0, [])])
def test_the_last_steps_before_the_execution(monkeypatch: pytest.MonkeyPatch, limit: int, marked: list[int]) -> None:
    """Said, in the start-up folder, with descriptors marked unless ``max_cloexec_files`` is 0."""
    bus = Bus()
    done: list[object] = []
    said: list[str] = []
    bus.subscribe("log", lambda msg, level: said.append(msg))
    bus.max_cloexec_files = limit
    marks: list[int] = []
    monkeypatch.setattr(wspbus.respawn, "close_on_exec", marks.append)
    monkeypatch.setattr(wspbus.respawn, "true_argv", lambda: ["/bin/python", "app.py"])
    monkeypatch.setattr(wspbus.os, "chdir", lambda folder: done.append(folder))
    monkeypatch.setattr(wspbus.os, "execv", lambda *command: done.append(command))

    bus._do_execv()

    assert said == ["Re-spawning /bin/python app.py"]
    assert done == [respawn.STARTUP_DIRECTORY, ("/bin/python", ["/bin/python", "app.py"])]
    assert marks == marked
