"""Forged header fields through real nginx, to applications that really run: nobody believes any of them.

One and two tiers of nginx, workers on Unix sockets and on TCP, every engine, and applications of other frameworks.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kirsch.check import probe
from kirsch.check.forgeries import FORGERIES
from kirsch.check.probe import Probing, doors_of, probe_door, require_honesty
from kirsch.errors import ForgeryBelieved
from kirsch.link.belief import Belief, make_token, token_file
from kirsch.spec import HostPaths, Listen, Stack, load_stack

pytestmark = [pytest.mark.nginx, pytest.mark.timeout(120)]

CLIENT = "127.0.0.9"
"""Where the client's connections come from: another address than nginx's own."""
STACK = """
[stack]
name = "forged"
[app.shop]
entry = "shop_site_under_test:Root"
directory = "shop"
[app.flask]
entry = "flask_site_under_test:make('flask')"
directory = "flask"
mount = "/flask"
[app.falcon]
entry = "falcon_site_under_test:app"
directory = "falcon"
mount = "/falcon"
[app.django]
entry = "manage.py"
directory = "django"
mount = "/django"
[pool.web]
workers = 1
[vhost.main]
names = ["shop.example"]
listen = ["127.0.0.1:{port}"]
"""
TCP_SITE = """
import sys, cherrypy
from kirsch.worker.probing import Page
cherrypy.config.update({"server.socket_port": int(sys.argv[1]), "environment": "production",
                        "server.trusted_proxies": ["127.0.0.1"]})
for mount in ("", "/flask", "/falcon", "/django"):
    cherrypy.tree.mount(Page("tcp"), mount + "/.kirsch/probe")
cherrypy.engine.start()
print("ready", flush=True)
cherrypy.engine.block()
"""


@pytest.fixture(autouse=True)
def other_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client asks from an address of its own."""

    def connect(listen: Any, host: str, timeout_s: float) -> socket.socket:
        return socket.create_connection((listen.address, listen.port), timeout_s, source_address=(CLIENT, 0))

    monkeypatch.setattr(probe, "connect_to", connect)


@pytest.fixture
def stack(foreign_folder: Path, free_port: Callable[[], int]) -> Stack:
    """Apps of four frameworks."""
    file = foreign_folder / "kirsch.toml"
    file.write_text(STACK.replace("{port}", str(free_port())))
    return load_stack(file)


@pytest.fixture
def tcp_worker(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[str]:
    """A site by itself that trusts nginx's address."""
    port = free_port()
    script = tmp_path / "site_of_its_own.py"
    script.write_text(TCP_SITE)
    with subprocess.Popen([sys.executable, str(script), str(port)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield f"127.0.0.1:{port}"
        process.terminate()


def probe_all(stack: Stack, folder: str) -> list[Probing]:
    """Send every forgery through every door."""
    token = make_token()
    Path(str(token_file(folder, token))).touch()
    return [probe_door(door, token) for door in doors_of(stack)]


def faults(probings: list[Probing]) -> list[str]:
    """What should not be, in words."""
    return [
        f"{probing.door.mount}: {one.forgery.name}: {one.verdict} {one.believed} {one.passed}"
        for probing in probings
        for one in probing.outcomes
        if not one.is_good
    ]


def assert_nothing_believed(probings: list[Probing], *, remote: str, port: int) -> None:
    """All doors were asked everything, and the truth is what the client's connection shows."""
    assert [probing.door.mount for probing in probings] == ["/", "/flask", "/falcon", "/django"]
    for probing in probings:
        assert probing.truth is not None, probing.why_not
        assert (probing.truth.base, probing.truth.remote) == (f"http://shop.example:{port}", remote)
        assert len(probing.outcomes) == len(FORGERIES) > 45
    assert faults(probings) == []


def port_of(stack: Stack) -> int:
    """Where the stack's only vhost listens."""
    return stack.vhosts["main"].listen[0].port


@pytest.mark.parametrize("engine", ["native", "gunicorn", "uwsgi"])
def test_one_tier_over_unix_sockets(
    stack: Stack, stage: HostPaths, folder: str, serve: Any, behind_unix: Any, engine: str
) -> None:
    """As a stack runs, with each engine."""
    behind_unix(stack, stage, engine)
    serve(stack, stage)

    assert_nothing_believed(probe_all(stack, folder), remote=CLIENT, port=port_of(stack))


def test_one_tier_over_tcp(stack: Stack, stage: HostPaths, folder: str, serve: Any, tcp_worker: str) -> None:
    """A site by itself behind nginx, which it trusts by address."""
    serve(stack, stage, tcp_worker)

    assert_nothing_believed(probe_all(stack, folder), remote=CLIENT, port=port_of(stack))


@pytest.fixture
def edge_stage() -> Iterator[HostPaths]:
    """Root and run directory of the tier in front."""
    folder = tempfile.mkdtemp(prefix="ke", dir="/tmp")
    os.chmod(folder, 0o711)
    paths = HostPaths(f"{folder}/root", f"{folder}/run")
    for path in (paths.root, paths.run, paths.slots):
        os.makedirs(path)
    yield paths
    shutil.rmtree(folder)


@pytest.mark.parametrize("over", ["unix", "tcp"])
def test_two_tiers(
    stack: Stack,
    stage: HostPaths,
    edge_stage: HostPaths,
    folder: str,
    serve: Any,
    request: pytest.FixtureRequest,
    free_port: Callable[[], int],
    over: str,
) -> None:
    """An edge before the host's nginx, which believes the edge's address and nobody else's."""
    main = stack.vhosts["main"]
    inner = Listen(address="127.0.0.1", port=free_port())
    behind = msgspec.structs.replace(main, listen=(inner,), trusted_proxies=("127.0.0.1",))
    hosts = msgspec.structs.replace(stack, vhosts={"main": behind})
    if over == "unix":
        request.getfixturevalue("behind_unix")(stack, stage)
        serve(hosts, stage)
    else:
        serve(hosts, stage, request.getfixturevalue("tcp_worker"))
    serve(stack, edge_stage, inner.endpoint)

    assert_nothing_believed(probe_all(stack, folder), remote=CLIENT, port=port_of(stack))
    # who goes around the edge is a stranger to the host's nginx
    assert_nothing_believed(probe_all(hosts, folder), remote=CLIENT, port=inner.port)


@pytest.mark.parametrize(
    ("hole", "names"),
    [
        (("Proto $scheme;", "Proto $http_x_forwarded_proto;"), {"X-Forwarded-Proto", "all at once"}),
        (("For $remote_addr;", "For $http_x_forwarded_for;"), {"X-Forwarded-For", "all at once", "lower case"}),
        (('Proxy "";', "Proxy $http_proxy;"), {"httpoxy"}),
    ],
)
def test_a_hole_is_found(
    stack: Stack, stage: HostPaths, folder: str, serve: Any, behind_unix: Any, hole: Any, names: set[str]
) -> None:
    """An nginx that hands a client's word on, in one field only, is told by that field."""
    behind_unix(stack, stage)
    serve(stack, stage, hole=hole)
    found = probe_all(stack, folder)

    assert {one.forgery.name for one in found[0].outcomes if not one.is_good} >= names
    with pytest.raises(ForgeryBelieved, match=r"http://shop.example:\d+/: "):
        require_honesty(found)


def test_without_a_token_the_app_answers(
    stack: Stack, stage: HostPaths, folder: str, serve: Any, behind_unix: Any
) -> None:
    """SECURITY: strangers learn nothing: the page is not there for them, nor after the asking."""
    behind_unix(stack, stage)
    serve(stack, stage)
    door = next(doors_of(stack))
    token = make_token()
    file = Path(str(token_file(folder, token)))
    before = probe.ask(door, None, f"/.kirsch/probe/?token={token}")
    file.touch()
    asked = probe.ask(door, None, f"/.kirsch/probe/?token={token}")
    file.unlink()
    after = probe.ask(door, None, f"/.kirsch/probe/?token={token}")
    traversal = probe.ask(door, None, "/.kirsch/probe/?token=../../etc/passwd")

    assert isinstance(asked, Belief)
    assert (before, after, traversal) == (404, 404, 404)
