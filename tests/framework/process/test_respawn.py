"""What a re-executed process gets, and what it does not."""

from __future__ import annotations

import os
import sys

import pytest

from cherrypy.process import respawn


def test_the_command_line_is_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the executable by its full path."""
    monkeypatch.setattr(sys, "orig_argv", ["python3", "-O", "-m", "app", "--flag"])

    assert respawn.true_argv() == [sys.executable, "-O", "-m", "app", "--flag"]


def test_an_embedded_interpreter_rebuilds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """From what it knows of itself."""
    monkeypatch.setattr(sys, "orig_argv", [])
    monkeypatch.setattr(sys, "argv", ["app.py", "x"])

    assert respawn.true_argv()[0] == sys.executable
    assert respawn.true_argv()[-2:] == ["app.py", "x"]


def test_descriptors_are_closed_on_exec() -> None:
    """Those above standard error that were inheritable."""
    reading, writing = os.pipe()
    try:
        os.set_inheritable(reading, True)
        os.set_inheritable(writing, True)

        respawn.close_on_exec(limit=reading + 1, kept=())

        assert not os.get_inheritable(reading)
        assert os.get_inheritable(writing) == (writing > reading)
    finally:
        os.close(reading)
        os.close(writing)


def test_sockets_of_systemd_stay_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same process is entitled to them after the exec."""
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "2")

    assert list(respawn._systemd_descriptors()) == [3, 4]

    monkeypatch.setenv("LISTEN_PID", "1")

    assert list(respawn._systemd_descriptors()) == []


def test_the_module_path_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, and only if the program was found by the current folder."""
    monkeypatch.setattr(sys, "path", ["", "/elsewhere"])
    env = {"PYTHONPATH": "/lib"}

    respawn.extend_pythonpath(env)
    respawn.extend_pythonpath(env)

    assert env["PYTHONPATH"] == f"{os.getcwd()}:/lib"
