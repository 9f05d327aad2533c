"""Another binary takes the place of the nginx that runs: nobody notices, and what fails is taken back."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kirsch.errors import NginxError
from kirsch.nginx import Nginx, NginxControl, render_site
from kirsch.nginx.binary import inspect_nginx, nginx_for
from kirsch.nginx.exchange import exchange
from kirsch.nginx.generations import Generations
from kirsch.nginx.marker import ask_marker
from kirsch.nginx.master import Master
from kirsch.nginx.site import MARKER_FILE
from kirsch.spec import Stack

pytestmark = [pytest.mark.nginx, pytest.mark.timeout(120)]


def borrow(name: str, path: Path) -> ModuleType:
    """A module of other tests."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


HERE = Path(__file__).resolve().parent
loadgen = borrow("kirsch_exchange_load", HERE.parents[1] / "integration" / "loadgen.py")
stages = borrow("kirsch_exchange_stages", HERE / "conftest.py")


@pytest.fixture
def other(nginx: Nginx) -> Nginx:
    """The nginx of this machine that is not *nginx*."""
    for path in (stages._system(), stages._wheel()):
        found = inspect_nginx(path) if path else None
        if isinstance(found, Nginx) and found.path != nginx.path:
            return found
    pytest.skip("there is only one nginx on this machine")


@pytest.fixture
def port(free_port: Callable[[], int]) -> int:
    """The stack's port."""
    return free_port()


@pytest.fixture
def files(control: NginxControl, stack_from: Callable[[str], Stack], port: int) -> Callable[..., dict[str, str]]:
    """The stack as the binary of *control* wants it; *more* are further addresses."""

    def make(*more: int) -> dict[str, str]:
        nginx = control.nginx
        listen = ", ".join(f'"127.0.0.1:{one}"' for one in (port, *more))
        stack = stack_from(f"{stages.APP}[vhost.main]\nlisten = [{listen}]\n")
        return render_site(
            stack,
            control.paths,
            nginx.version,
            generation=control.next_generation(),
            user=control.user,
            modules=nginx.modules,
            loads=nginx.loads,
            processes=2,
            open_files=1024,
        )

    return make


@pytest.fixture
def load(port: int, worker: Callable[..., Any]) -> Iterator[Any]:
    """Clients that ask without pause for as long as the test goes on."""
    worker("web", 1)
    load = loadgen.Load(
        ("127.0.0.1", port), lambda client, index: loadgen.Shot(path=f"/{client}/{index}"), clients=4, pause_s=0.005
    )
    yield load
    load.stop()


def serving(control: NginxControl) -> str:
    """The program that serves."""
    return os.readlink(f"/proc/{control.pid()}/exe")


def test_no_request_is_lost_while_binaries_change(
    control: NginxControl, other: Nginx, files: Callable[..., dict[str, str]], load: Any
) -> None:
    """There and back again under load: each time the pid file names the new master, and the old one is gone."""
    first = control.apply(files())
    binary = control.nginx
    load.start()
    seen = []
    for nginx in (other, binary):
        load.wait_for(50)
        control.use(nginx)
        done = control.apply(files())
        seen.append((done.action, serving(control), control.pid() == done.pid != first.pid))
        load.wait_for(50)
        wait_for_end(control)
    tally = load.stop()

    assert seen == [("upgraded", os.path.realpath(nginx.path), True) for nginx in (other, binary)]
    assert tally.failed == 0, tally
    assert nginx_for(control.paths, {}).path == binary.path


def test_each_binary_compresses_as_it_can(
    control: NginxControl, other: Nginx, files: Callable[..., dict[str, str]], port: int, worker: Callable[..., Any]
) -> None:
    """A module that only one of them loads comes and goes with it."""
    worker("web", 1)
    binary = control.nginx
    seen = []
    for nginx in (binary, other, binary):
        control.use(nginx)
        control.apply(files())
        wait_for_end(control)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", "/" + "x" * 3000, headers={"Accept-Encoding": "gzip, br"})
            seen.append(connection.getresponse().headers["Content-Encoding"])

    assert seen == ["br" if nginx.build.has("brotli") else "gzip" for nginx in (binary, other, binary)]
    assert says_nothing_of_modules(control)


def wait_for_end(control: NginxControl) -> None:
    """Wait until the master before has finished."""
    former = Master(control.paths, control.nginx).former()
    if former is None:
        return
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(former)
        ready, _, _ = select.select([descriptor], [], [], 60)
        os.close(descriptor)
        assert ready, "the former master does not end"


def test_a_binary_that_does_not_get_its_sockets_changes_nothing(
    control: NginxControl, other: Nginx, files: Callable[..., dict[str, str]], load: Any
) -> None:
    """What only shows when it starts: another process has a port of the new configuration."""
    before = control.apply(files())
    binary = control.nginx
    load.start()
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen(1)
        control.use(other)
        with pytest.raises(NginxError, match="did not take up") as caught:
            control.apply(files(held.getsockname()[1]))
        load.wait_for(20)
    tally = load.stop()
    marker = ask_marker(control.paths.nginx_marker)

    assert any("bind() to" in line for line in caught.value.lines)
    assert (control.pid(), serving(control)) == (before.pid, os.path.realpath(binary.path))
    assert marker is not None
    assert marker.generation == before.name
    assert tally.failed == 0, tally
    assert nginx_for(control.paths, {}).path == binary.path


def test_one_that_is_not_proven_is_taken_back(
    control: NginxControl,
    other: Nginx,
    files: Callable[..., dict[str, str]],
    load: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The old processes take no more connections by then: new ones of the old binary do, with its own text."""
    before = control.apply(files())
    binary = control.nginx
    master = Master(control.paths, other)
    old = master.serving_workers()
    monkeypatch.setattr("kirsch.nginx.control.PROOF_TIMEOUT_S", 1.0)
    load.start()
    control.use(other)
    unprovable = files()
    unprovable[MARKER_FILE] = unprovable[MARKER_FILE].replace(control.next_generation(), "000099")
    with pytest.raises(NginxError, match="did not take up") as caught:
        control.apply(unprovable)
    load.wait_for(20)
    tally = load.stop()
    marker = ask_marker(control.paths.nginx_marker)

    assert "the marker shows generation 000099" in caught.value.lines[0]
    assert (control.pid(), serving(control)) == (before.pid, os.path.realpath(binary.path))
    assert marker is not None
    assert marker.generation == before.name == control.generation
    assert not old & master.serving_workers()
    assert tally.failed == 0, tally
    assert says_nothing_of_modules(control)


def says_nothing_of_modules(control: NginxControl) -> bool:
    """True when neither binary was given a file that only the other one reads."""
    said = Path(control.paths.nginx_error_log).read_text(encoding="utf-8")
    return not any(words in said for words in ("[emerg]", "Dynamic loading", "unknown directive"))


def test_one_that_ends_before_it_is_proven_leaves_the_old_one_its_own_text(
    control: NginxControl, other: Nginx, files: Callable[..., dict[str, str]], load: Any
) -> None:
    """The old one reads its configuration anew then: it must not be what was written for the other."""
    before = control.apply(files())
    master = Master(control.paths, other)
    generations = Generations(control.paths)
    control.use(other)
    generations.switch(generations.write(files()))
    restored = []

    def fail(workers: frozenset[int]) -> list[str]:
        assert master.signal(signal.SIGQUIT)
        assert master.wait_for_end(30)
        return ["it ended"]

    def restore() -> None:
        generations.switch(before.name)
        restored.append(generations.current())

    load.start()
    said = exchange(master, control.paths.nginx_error_log, fail, restore)
    load.wait_for(20)
    assert master.signal(signal.SIGHUP)
    load.wait_for(20)
    tally = load.stop()
    marker = ask_marker(control.paths.nginx_marker)

    assert (said, restored) == (["it ended"], [before.name])
    assert control.pid() == before.pid
    assert marker is not None
    assert marker.generation == before.name
    assert tally.failed == 0, tally
    assert says_nothing_of_modules(control)


def test_a_second_one_waits_for_the_first(
    control: NginxControl, other: Nginx, files: Callable[..., dict[str, str]], port: int, worker: Callable[..., Any]
) -> None:
    """Nginx has room for two: while a request keeps the former master there, its successor cannot be replaced."""
    began, release = threading.Event(), threading.Event()

    def linger(handler: Any, line: str) -> None:
        began.set()
        release.wait(60)
        handler.wfile.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    echo = worker("web", 1)
    echo.script = linger
    control.apply(files())
    binary = control.nginx
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert began.wait(30)
        control.use(other)
        first = control.apply(files())
        control.use(binary)
        with pytest.raises(NginxError) as caught:
            control.apply(files())
        release.set()
        answer = client.recv(4096)
    wait_for_end(control)

    assert "still finishes its requests" in caught.value.lines[0]
    assert answer.startswith(b"HTTP/1.1 204")
    assert control.apply(files()).action == "upgraded"
    assert first.pid != control.pid()
