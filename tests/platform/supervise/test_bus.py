"""The bus of a stack that really runs: workers, their supervisor, and what becomes of both."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kirsch.errors import ControlError
from kirsch.spec.bus import Bus

APP = """
import os, cherrypy

class Root:
    @cherrypy.expose
    def index(self): return "hello"
    @cherrypy.expose
    @cherrypy.tools.json_out()
    def who(self):
        receipt = cherrypy.engine.cluster.call("who", timeout_s=10)
        return {"replies": sorted(reply[0] for reply in receipt.replies.values()), "text": str(receipt)}
    @cherrypy.expose
    @cherrypy.tools.json_out()
    def members(self):
        return [[one.name, one.pool, one.generation, one.state] for one in cherrypy.engine.cluster.members]
    @cherrypy.expose
    def flag(self, name, who=None): return str(cherrypy.engine.cluster.flag(name, who))
    @cherrypy.expose
    def lease(self):
        Root.held = cherrypy.engine.cluster.take("alone", ttl_s=30)
        return str(Root.held and Root.held.token)
    @cherrypy.expose
    def order(self):
        return str(cherrypy.engine.cluster.call("kirsch.purge_cache", "").failed)

    @cherrypy.expose
    @cherrypy.tools.sessions(storage_class=cherrypy.lib.sessions.FileSession, storage_path=__file__ + ".sessions")
    def visit(self, name):
        cherrypy.session["username"] = name
        return cherrypy.session.id

cherrypy.engine.cluster.subscribe_to("who", lambda: os.environ["KIRSCH_WORKER"])
cherrypy.engine.cluster.subscribe_to("cache_purge", lambda what: 5)
"""


def start(host: Any, release: str = "r1", workers: int = 2) -> dict[str, Any]:
    host.release(release, APP)
    host.start(host.state(release, workers=workers))
    found: dict[str, Any] = host.wait_until_ready(workers)
    return found


def get(host: Any, path: str, slot: int = 1) -> Any:
    status, body = host.get(path, slot)
    assert status == 200, body
    return json.loads(body)


def members_of(host: Any) -> list[str]:
    return sorted(member["name"] for member in host.status()["bus"]["members"] if member["state"] == "ready")


def test_workers_meet(host: Any) -> None:
    """From their first import on; each knows all, and a page may ask all."""
    start(host)
    host.wait_for(lambda status: len(members_of(host)) == 2)

    assert get(host, "/members") == [["web.1", "web", 1, "ready"], ["web.2", "web", 1, "ready"]]
    assert get(host, "/who") == {"replies": ["web.1", "web.2"], "text": "2 of 2"}


def test_the_operator_sets_configuration(host: Any) -> None:
    """In every worker at once; in those that come later, too; and takes it back."""
    start(host)
    set_ = host.control.call("set", section="config", key="tools.response_headers.on", value=True)
    headers = [["X-Live", "yes"]]
    host.control.call("set", section="config", key="tools.response_headers.headers", value=headers)
    of_app = {"shop /flag response.headers.X-App": "1", "shop /flag tools.expires.on": True}
    app = host.control.call("set", section="app_config", values=of_app)
    os.kill(host.workers()[0]["pid"], signal.SIGKILL)
    host.wait_for(lambda status: status["pools"][0]["restarts"])
    host.wait_until_ready()
    heads = [raw_head(host, slot) for slot in (1, 2)]
    of_path = [raw_head(host, slot, "/flag?name=x") for slot in (1, 2)]
    half = host.control.call(
        "set", section="app_config", values={"shop / tools.gzip.on": True, "shop / tools.no.on": 1}
    )
    with pytest.raises(ControlError, match="there is no app other; there are: shop"):
        host.control.call("set", section="app_config", values={"other / tools.gzip.on": True})
    wrong = host.control.call("set", section="config", key="server.socket_timeout", value="soon")
    kept = host.control.call("bus")["settings"]["config"]
    kept_of_app = host.control.call("bus")["settings"]["app_config"]
    forbidden = host.control.call("set", section="config", key="engine.autoreload.on", value=True)
    host.control.call("set", section="config", key="tools.response_headers.on", value=None)

    assert len(set_["delivered"]) == len(app["delivered"]) == len(half["failed"]) == 2
    assert all(b"X-App: 1" in head for head in of_path)
    assert not any(b"X-App" in head for head in heads)
    assert kept_of_app == of_app
    assert all(b"X-Live: yes" in head for head in heads)
    assert len(wrong["failed"]) == 2
    assert "server.socket_timeout" not in kept
    assert all("cannot be set" in why for why in forbidden["failed"].values())
    assert not any(b"X-Live" in raw_head(host, slot) for slot in (1, 2))


def raw_head(host: Any, slot: int, path: str = "/") -> bytes:
    import socket

    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(10)
        line.connect(host.paths.slot_socket("web", slot))
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        data = b""
        while piece := line.recv(65536):
            data += piece
    return data.partition(b"\r\n\r\n")[0]


def test_purges_flags_levels_and_commands(host: Any) -> None:
    """Each says who did it; what is the operator's no worker may say."""
    start(host)
    purged = host.control.call("call", channel="kirsch.purge_cache", args=["/x"])
    host.control.call("set", section="flags", key="cart", value=100)
    for slot, name in ((1, "alice"), (2, "alice"), (1, "bob")):
        host.get(f"/visit?name={name}", slot)
    of_alice = host.control.call("purge_sessions", where={"username": "alice"})
    of_all = host.control.call("purge_sessions")
    level = host.control.call("set", section="log_level", key="site", value="DEBUG")
    wrong = host.control.call("set", section="log_level", key="site", value="LOUD")
    called = host.control.call("call", channel="who", to=["web.2"])

    assert list(purged["replies"].values()) == [[{"tools.caching": 0, "cache_purge": 5}]] * 2
    # one worker does it for both
    assert [sum_of(of_alice), sum_of(of_all)] == [2, 1]
    assert len(of_alice["delivered"]) == 2
    assert sorted(len(reply[0]) for reply in of_alice["replies"].values()) == [0, 1]
    assert host.get("/flag?name=cart")[1] == b"True"
    assert host.get("/flag?name=other")[1] == b"False"
    assert len(level["delivered"]) == len(wrong["failed"]) == 2
    assert list(called["replies"].values()) == [["web.2"]]
    assert b"is reserved" in host.get("/order")[1]


def sum_of(result: dict[str, Any]) -> int:
    return sum(count for (reply,) in result["replies"].values() for count in reply.values())


def test_maintenance(host: Any) -> None:
    """503 at once for everybody, until it is over."""
    start(host, workers=1)
    begun = host.control.call("call", channel="kirsch.maintenance", args=[True])
    during = host.get("/")[0]
    host.control.call("call", channel="kirsch.maintenance", args=[False])

    assert list(begun["replies"].values()) == [["1 pools"]]
    assert during == 503
    assert host.get("/")[0] == 200


def test_over_a_supervisors_upgrade_and_its_death(host: Any) -> None:
    """Workers come back to the bus; leases stay whose they are, and settings what they were."""
    started = start(host)["started"]
    token = host.get("/lease")[1]
    host.control.call("set", section="flags", key="cart", value=100)
    host.control.call("upgrade")
    host.wait_for(lambda status: status["started"] > started)
    after_upgrade = get(host, "/who")
    lease = host.status()["bus"]["leases"]["alone"]
    process = host.process
    process.kill()
    process.wait()
    host.start()
    host.wait_until_ready()
    host.wait_for(lambda status: len(members_of(host)) == 2)

    assert after_upgrade["text"] == "2 of 2"
    assert lease["token"] == int(token)
    assert lease["holder"].startswith("web.")
    assert get(host, "/who")["text"] == "2 of 2"
    assert host.get("/flag?name=cart")[1] == b"True"
    assert host.get("/lease", 2)[1] == b"None"


def test_nobody_else_gets_in(host: Any) -> None:
    """Not even a process of the same user: the kernel says that it is no worker."""
    start(host, workers=1)
    script = (
        "import socket, sys\nfrom kirsch.link import wire\n"
        "line = socket.socket(socket.AF_UNIX)\nline.connect(sys.argv[1])\n"
        "line.sendall(wire.encode(wire.Hello(member=wire.Member(name='web.1', pool='web'))))\n"
        "print(line.recv(100))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script, host.paths.bus_socket], capture_output=True, text=True, timeout=60
    ).stdout
    log = Path(host.paths.log_dir, "supervisor.log").read_text()

    assert said == "b''\n"
    assert "is no worker of this stack" in log
    assert host.status()["bus"]["wrong"] == {"stranger": 1}
    assert host.stop() == 0
    assert not os.path.exists(host.paths.bus_socket)


def test_with_a_redis(host: Any) -> None:
    """While it is away the status says so and the host serves itself; when it comes nobody has to be started anew."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed")
    host.release("r1", APP)
    state = host.state("r1", workers=1)
    bus = Bus(url=f"redis+unix://{host.folder}/redis")
    stack = msgspec.structs.replace(state.stack, bus=bus)
    host.start(msgspec.structs.replace(state, stack=stack))
    away = host.wait_for(lambda status: "Redis is away" in status["bus"]["degraded"] and members_of(host))
    alone = get(host, "/who")
    server = subprocess.Popen(
        [binary, "--port", "0", "--unixsocket", f"{host.folder}/redis", "--save", "", "--dir", host.folder],
        stdout=subprocess.DEVNULL,
    )
    try:
        host.wait_for(lambda status: not status["bus"]["degraded"])
        there = get(host, "/who")
    finally:
        server.kill()
        server.wait()

    assert any("Redis is away" in why for why in away["degraded"])
    assert alone["text"].startswith("1 of 1; other hosts cannot be reached")
    assert there["text"] == "1 of 1"
