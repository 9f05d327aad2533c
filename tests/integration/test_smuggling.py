"""Request smuggling: every vector of the server's tests through real nginx to each engine, which never lose step.

nginx gives every request an id, which goes to the worker and back to the client. The worker answers with the id that it
was given, leaves every other body unread, and writes down what it saw. So a request that nginx did not make has no id,
one that was answered with another's answer has the wrong one, and nothing has to be known about any single vector.
"""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kirsch.spec import HostPaths, Stack, load_stack

pytestmark = [pytest.mark.nginx, pytest.mark.timeout(180)]

HERE = Path(__file__).resolve().parent
VECTORS = HERE.parent / "vectors" / "httpd"
BATCH = 50
QUIET_S = 0.15
"""How long nothing may come before a batch counts as answered."""
PROBES = 6
STACK = """
[stack]
name = "step"
[app.site]
entry = "step_site_under_test:app"
[pool.web]
workers = 1
[vhost.main]
listen = ["127.0.0.1:{port}"]
"""
SITE = """
import json, os
seen = os.open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "seen"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def app(environ, start_response):
    name = environ.get("HTTP_X_REQUEST_ID", "")
    body = b""
    if name[-1:] in "02468ace":
        try:
            while piece := environ["wsgi.input"].read(65536):
                body += piece
        except Exception:
            pass
    line = {"id": name, "method": environ["REQUEST_METHOD"], "path": environ["PATH_INFO"]}
    os.write(seen, json.dumps(line).encode() + b"\\n")
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Seen", name), ("Content-Length", "2")])
    return [b"ok"]
"""


def vectors() -> Iterator[bytes]:
    """The octets of every vector that a plain port gets."""
    for name in ("framing", "chunked", "fields", "request_line", "persistence", "target", "host", "expect"):
        for vector in json.loads((VECTORS / f"{name}.json").read_text()):
            yield vector["send"].encode("latin-1")
            # the same behind a request whose body the application may leave unread
            yield b"POST /before HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + vector["send"].encode(
                "latin-1"
            )


def send_all(port: int, batch: list[bytes], quiet_s: float = QUIET_S) -> list[bytes]:
    """Send each on a connection of its own; what came back until all were closed, or nothing came for *quiet_s*."""
    selector = selectors.DefaultSelector()
    answers: dict[socket.socket, bytes] = {}
    for octets in batch:
        line = socket.create_connection(("127.0.0.1", port), 10)
        line.sendall(octets)
        line.setblocking(False)
        answers[line] = b""
        selector.register(line, selectors.EVENT_READ)
    while ready := selector.select(quiet_s):
        for key, _ in ready:
            line = key.fileobj  # type: ignore[assignment]
            try:
                piece = line.recv(65536)
            except ConnectionResetError:
                piece = b""
            answers[line] += piece
            if not piece:
                selector.unregister(line)
        if not selector.get_map():
            break
    for line in answers:
        line.close()
    selector.close()
    return list(answers.values())


def ids_of(answer: bytes) -> list[tuple[str, str]]:
    """For each answer of the application on a connection: the id that nginx gave it, and the one that it was given."""
    found = []
    for head in answer.split(b"HTTP/1.1 ")[1:]:
        fields = dict(line.lower().partition(": ")[::2] for line in head.decode("latin-1").split("\r\n")[1:])
        if "x-seen" in fields:
            found.append((fields.get("x-request-id", ""), fields["x-seen"]))
    return found


def lines_of(path: str) -> list[dict[str, str]]:
    """The JSON lines of a file; nginx leaves octets above 127 as they are."""
    return [json.loads(line) for line in Path(path).read_text(encoding="latin-1").split("\n") if line]


@pytest.mark.parametrize("engine", ["native", "gunicorn", "uwsgi"])
def test_nginx_and_worker_never_lose_step(
    stage: HostPaths,
    folder: str,
    serve: Any,
    behind_unix: Any,
    free_port: Callable[[], int],
    engine: str,
) -> None:
    """Each answer is its request's; no worker ever sees a request that nginx did not make."""
    port = free_port()
    Path(folder, "step_site_under_test.py").write_text(SITE)
    file = Path(folder, "kirsch.toml")
    file.write_text(STACK.replace("{port}", str(port)))
    stack: Stack = load_stack(file)
    behind_unix(stack, stage, engine)
    serve(stack, stage)
    octets = list(vectors())
    pairs: list[tuple[str, str]] = []
    probed = 0
    for start in range(0, len(octets), BATCH):
        for answer in send_all(port, octets[start : start + BATCH]):
            pairs += ids_of(answer)
        # connections to the worker that have been used by vectors carry these
        for number in range(PROBES):
            path = f"/probe-{start}-{number}"
            ask = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
            (answer,) = send_all(port, [ask], quiet_s=20)
            (pair,) = ids_of(answer)
            pairs.append(pair)
            probed += 1
    seen = lines_of(f"{folder}/seen")
    # nginx flushes its log once a second
    deadline = time.monotonic() + 30
    logged: dict[str, Any] = {}
    while not logged.keys() >= {request["id"] for request in seen} and time.monotonic() < deadline:
        time.sleep(0.05)
        logged = {entry["id"]: entry for entry in lines_of(stage.nginx_access_log)}
    tried = Counter(request["id"] for request in seen)

    assert len(octets) > 1000
    assert len(pairs) > 500
    assert all(given == got for given, got in pairs)
    assert sum(request["path"].startswith("/probe-") for request in seen) == probed
    for request in seen:
        assert request["id"] in logged, request
        entry = logged[request["id"]]
        assert entry["method"] == request["method"], (request, entry)
        assert tried[request["id"]] <= len(entry["upstream"].split(", ")), (request, entry)
