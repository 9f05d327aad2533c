"""The supervisor changes itself for another version, is watched by systemd, starts behind the scenes."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from kirsch.errors import ControlError
from kirsch.supervise.handover import VARIABLE, Handover
from kirsch.supervise.notify import Notifier


def pids(host: Any) -> dict[str, int]:
    return {worker["name"]: worker["pid"] for worker in host.workers() if worker["state"] == "ready"}


def upgraded(host: Any, started: float) -> dict[str, Any]:
    """Wait for the next version's status."""
    found: dict[str, Any] = host.wait_for(lambda status: status["started"] > started)
    return found


def test_the_process_stays_and_the_workers_too(host: Any) -> None:
    """Same id, same workers, same generation; and the new one still learns how a worker of before ends."""
    process = host.start(host.state())
    started = host.wait_until_ready()["started"]
    before = pids(host)
    answer = host.control.call("upgrade")
    status = upgraded(host, started)

    assert answer["pid"] == status["pid"] == process.pid
    assert process.poll() is None
    assert pids(host) == before
    assert status["generation"] == 1
    assert VARIABLE not in Path(f"/proc/{before['web.1']}/environ").read_text()

    os.kill(before["web.1"], signal.SIGKILL)
    host.wait_for(lambda status: pids(host).get("web.1") not in {None, before["web.1"]})

    assert host.status()["pools"][0]["restarts"] == {"SIGKILL": 1}
    assert not Path(f"/proc/{before['web.1']}").exists()
    assert host.stop() == 0
    assert host.leftovers() == []


def test_a_version_that_cannot_take_over_is_not_begun(host: Any, tmp_path: Path) -> None:
    """Its last words come back; the old one goes on."""
    host.start(host.state(workers=1))
    started = host.wait_until_ready(1)["started"]
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'no module named kirsch' >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(ControlError, match="no module named kirsch"):
        host.control.call("upgrade", python=str(broken))
    with pytest.raises(ControlError, match="cannot be started"):
        host.control.call("upgrade", python=str(tmp_path / "nobody"))

    assert host.status()["started"] == started
    assert host.get("/")[0] == 200


def test_who_comes_meanwhile_waits(host: Any) -> None:
    """Requests of a paused pool and questions to the supervisor are answered, by this version or the next one."""
    host.start(host.state(workers=1))
    started = host.wait_until_ready(1)["started"]
    host.control.call("pause")
    host.process.send_signal(signal.SIGUSR2)
    answers: list[tuple[int, bytes]] = []
    thread = threading.Thread(target=lambda: answers.append(host.get("/echo?value=late", timeout_s=30)))
    thread.start()
    status = host.wait_for(lambda status: status["started"] > started or status["pools"][0]["held"])
    host.control.call("resume")
    thread.join()
    upgraded(host, started)

    assert status["pools"][0]["paused"]
    assert answers == [(200, b"echo late")]


def test_sighup_rolls_to_the_state_file(host: Any) -> None:
    """As daemons do: what systemd's reload sends."""
    process = host.start(host.state("r1", workers=1))
    host.wait_until_ready(1)
    host.write(host.state("r2", workers=1))
    process.send_signal(signal.SIGHUP)

    assert host.wait_for(lambda status: status["release"] == "r2")["generation"] == 2


def test_after_a_new_start_of_the_machine_the_stack_comes_back(host: Any) -> None:
    """The run directory is gone; the root remembers what ran last."""
    import shutil

    host.start(host.state("r1", workers=1))
    host.wait_until_ready(1)
    host.stop()
    shutil.rmtree(host.paths.run)
    host.start()

    assert host.wait_until_ready(1)["release"] == "r1"


def test_in_the_background(host: Any) -> None:
    """The command ends when the supervisor answers, and prints its process id; a second one says who runs."""
    host.write(host.state(workers=1))
    argv = [sys.executable, "-m", "kirsch.supervise", "--root", host.paths.root, "--run", host.paths.run, "--no-nginx"]
    first = subprocess.run([*argv, "--daemon"], capture_output=True, text=True, timeout=60)
    status = host.wait_until_ready(1)
    second = subprocess.run([*argv, "--daemon"], capture_output=True, text=True, timeout=60)
    host.control.call("stop", drain_s=1)
    deadline = time.monotonic() + 30
    while os.path.exists(host.paths.supervisor_pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)

    assert first.returncode == 0
    assert int(first.stdout) == status["pid"]
    assert second.returncode == 1
    assert f"process {status['pid']}" in Path(host.paths.log_dir, "supervisor.log").read_text()


def test_systemd_is_told(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """READY when it serves, RELOADING around a roll and an upgrade, signs of life, STOPPING; workers cannot speak."""
    address = f"{host.folder}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(address)
        ear.settimeout(30)

        heard: queue.Queue[str] = queue.Queue()

        def listen() -> None:
            while "STOPPING=1" not in (text := ear.recv(65536).decode()):
                heard.put(text)
            heard.put(text)

        def wait_for(word: str) -> str:
            while word not in (text := heard.get(timeout=30)):
                continue
            return text

        threading.Thread(target=listen, daemon=True).start()

        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.setenv("WATCHDOG_USEC", "300000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        process = host.start(host.state("r1", workers=1))
        ready = wait_for("READY=1")
        alive = wait_for("WATCHDOG=1")
        host.write(host.state("r2", workers=1))
        threading.Thread(target=host.control.call, args=("roll",)).start()
        reloading = wait_for("RELOADING=1")
        again = wait_for("READY=1")
        host.wait_until_ready(1)
        host.control.call("upgrade")
        wait_for("RELOADING=1")
        upgraded_ready = wait_for("READY=1")
        environ = Path(f"/proc/{pids(host)['web.1']}/environ").read_text()
        host.control.call("stop", drain_s=1)
        wait_for("STOPPING=1")

    assert f"MAINPID={process.pid}" in ready
    assert "release r1; web 1 of 1" in ready
    assert "STATUS=" in alive
    assert "MONOTONIC_USEC=" in reloading
    assert "web 1 of 1" in again
    assert f"MAINPID={process.pid}" in upgraded_ready
    assert "NOTIFY_SOCKET" not in environ
    assert process.wait(30) == 0


def test_a_watchdog_of_another_process_is_not_ours() -> None:
    """The variables are inherited by children; only the one that is meant answers."""
    assert Notifier({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, 2).watchdog_s is None
    assert Notifier({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "2"}, 2).watchdog_s == 1.0
    assert Notifier({}, 2).watchdog_s is None
    assert not Notifier({}, 2).is_heard


def test_a_handover_is_for_one_process() -> None:
    """A child that inherited the variable has none of the descriptors."""
    lock, beside = os.pipe()
    try:
        environ = Handover(lock, {"/run/a": beside}).pass_on({})
        mine = Handover.take(dict(environ))
        text = environ[VARIABLE].replace(str(os.getpid()), "1")

        assert (mine.lock, mine.sockets) == (lock, {"/run/a": beside})
        assert not os.get_inheritable(lock)
        assert Handover.take({VARIABLE: text}) == Handover()
        assert Handover.take({}) == Handover()
    finally:
        os.close(lock)
        os.close(beside)
