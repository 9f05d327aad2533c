"""A pool as nginx sees it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kirsch.nginx import NginxControl
from kirsch.nginx.directives import render
from kirsch.nginx.upstream import KEEPALIVE_TIMEOUT_S, pass_to, tries, upstream
from kirsch.spec import HostPaths, Pool, Stack, Workers

PATHS = HostPaths("/srv/shop", "/run/kirsch/shop-1")


def pool(smallest: int, largest: int) -> Pool:
    """A pool with so many workers."""
    return Pool(name="web", workers=Workers(min=smallest, max=largest), request_deadline_s=30)


def test_every_slot_up_to_the_maximum_is_listed() -> None:
    """Scaling moves links, never nginx."""
    text = render([upstream(pool(2, 3), PATHS)])

    assert [line.strip() for line in text.splitlines() if "server " in line] == [
        f"server unix:/run/kirsch/shop-1/slots/web.{slot}.sock max_fails=1 fail_timeout=1s;" for slot in (1, 2, 3)
    ] + ["server unix:/run/kirsch/shop-1/workers/web.0.0.sock backup max_fails=0;"]


def test_the_balancer_stands_before_keepalive() -> None:
    """Before 1.29.7 nginx refuses it the other way round."""
    text = render([upstream(pool(2, 2), PATHS)])

    assert text.index("least_conn") < text.index("keepalive ")


def test_nginx_closes_idle_connections_before_a_worker_would() -> None:
    """Otherwise a POST meets a connection that is just being closed."""
    assert f"keepalive_timeout {KEEPALIVE_TIMEOUT_S:g}s;" in render([upstream(pool(2, 2), PATHS)])


@pytest.mark.parametrize(
    ("smallest", "largest", "expected"), [(2, 2, 3), (2, 8, 9), (4, 8, 4), (3, 8, 5), (1, 1, 2), (8, 8, 3)]
)
def test_one_dead_worker_can_be_stepped_over(smallest: int, largest: int, expected: int) -> None:
    """One try more than it has slots while a sibling boots, and no more than that."""
    assert tries(pool(smallest, largest)) == expected


def test_nginx_waits_longer_than_the_worker_may_take() -> None:
    """The worker's own answer to a request that took too long comes first."""
    text = render(pass_to(pool(2, 2)))

    assert "proxy_read_timeout 35s;" in text
    assert text.endswith("proxy_pass http://pool_web;\n")


Ask = Callable[..., tuple[int, dict[str, str], Any]]
POST = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody"


@pytest.fixture
def port(
    control: NginxControl,
    render: Callable[[Stack], dict[str, str]],
    stack_from: Callable[[str], Stack],
    free_port: Callable[[], int],
) -> int:
    """A real nginx before a pool of two slots."""
    port = free_port()
    control.apply(
        render(stack_from(f'[stack]\nname="x"\n[app.a]\nentry="a:b"\n[vhost.main]\nlisten=["127.0.0.1:{port}"]\n'))
    )
    return port


def dead_socket(path: str) -> None:
    """What a killed worker leaves: a socket that refuses."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)


@pytest.mark.nginx
def test_a_dead_slot_costs_no_request(port: int, worker: Callable[..., Any], stage: HostPaths, ask: Ask) -> None:
    """A refused connect goes to the next slot, POST included: nothing had been sent."""
    dead_socket(stage.slot_socket("web", 1))
    worker("web", 2)
    answers = [ask(port, POST) for _ in range(20)]

    assert {(status, body["worker"], body["body"]) for status, _, body in answers} == {(200, "web.2", "body")}


@pytest.mark.nginx
def test_the_death_of_a_lone_survivor_costs_no_request(
    serve: Callable[..., Any], worker: Callable[..., Any], stage: HostPaths, free_port: Callable[[], int], ask: Ask
) -> None:
    """It stood behind every slot while its sibling booted: behind them all the holding server is asked."""
    port = free_port()
    base = '[stack]\nname="x"\n[app.a]\nentry="a:b"\n[pool.web]\nworkers={min=2, max=4}\n'
    dying = serve(f'[vhost.main]\nlisten=["127.0.0.1:{port}"]\n', base=base)
    dying.drops_after_head = True
    for slot in (2, 3, 4):
        dead_socket(stage.slot_socket("web", slot))
    worker("holding", 1)
    os.makedirs(stage.workers, exist_ok=True)
    Path(stage.holding_socket("web")).symlink_to(stage.slot_socket("holding", 1))
    status, _, body = ask(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    assert (status, body["worker"]) == (200, "holding.1")
    assert dying.requests == 1


@pytest.mark.nginx
def test_a_slot_is_a_name_that_can_be_moved(port: int, worker: Callable[..., Any], stage: HostPaths, ask: Ask) -> None:
    """Nginx follows the link at each connect, so that a roll needs no reload."""
    for name in ("one", "two"):
        worker(name, 1)
    link = Path(stage.slot_socket("web", 1))
    link.symlink_to(stage.slot_socket("one", 1))
    Path(stage.slot_socket("web", 2)).symlink_to(stage.slot_socket("one", 1))
    before = ask(port, POST)[2]["worker"]
    for slot in (1, 2):
        part = Path(f"{stage.slots}/part")
        part.symlink_to(stage.slot_socket("two", 1))
        os.rename(part, stage.slot_socket("web", slot))
    fresh = {ask(port, POST)[2]["worker"] for _ in range(6)}

    assert before == "one.1"
    # the connection that nginx kept stays with the worker that it reached, new ones follow the link
    assert "two.1" in fresh


@pytest.mark.nginx
@pytest.mark.parametrize(("method", "expected", "tried"), [("GET", 502, 2), ("POST", 502, 1)])
def test_what_was_sent_is_repeated_only_when_it_may_be(
    port: int, worker: Callable[..., Any], ask: Ask, method: str, expected: int, tried: int
) -> None:
    """A worker that dies with the request: a GET is tried on one more slot, a POST is never run twice."""
    servers = [worker("web", slot) for slot in (1, 2)]
    for server in servers:
        server.drops_after_head = True
    length = "Content-Length: 0\r\n" if method == "POST" else ""
    status, _, _ = ask(port, f"{method} / HTTP/1.1\r\nHost: a\r\n{length}Connection: close\r\n\r\n")

    assert status == expected
    assert sum(server.requests for server in servers) == tried


@pytest.mark.nginx
def test_every_request_is_one_line_of_json(
    port: int, control: NginxControl, worker: Callable[..., Any], stage: HostPaths, ask: Ask
) -> None:
    """With its id, its times, and every slot that was tried; nothing that a client sends breaks the line."""
    dead_socket(stage.slot_socket("web", 1))
    worker("web", 2)
    agent = 'quo"te\\back\xff'
    for _ in range(2):
        ask(port, f"GET /a%22b HTTP/1.1\r\nHost: a\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n")
    control.stop(timeout_s=5)
    text = Path(stage.nginx_access_log).read_bytes().decode("utf-8", "replace")
    lines = [json.loads(line) for line in text.splitlines()]

    assert [(line["status"], line["method"], line["uri"]) for line in lines] == [("200", "GET", "/a%22b")] * 2
    assert all(len(line["id"]) == 32 and line["agent"].startswith('quo"te\\back') for line in lines)
    assert any(", " in line["upstream"] for line in lines)


@pytest.mark.nginx
def test_what_was_lost_is_logged_as_it_was_asked(
    port: int, control: NginxControl, worker: Callable[..., Any], stage: HostPaths, ask: Ask
) -> None:
    """A POST without an answer is a POST, though nginx answers with a page of its own, which it GETs."""
    for slot in (1, 2):
        worker("web", slot).drops_after_head = True
    ask(port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    control.stop(timeout_s=5)
    lines = [json.loads(line) for line in Path(stage.nginx_access_log).read_text(encoding="utf-8").splitlines()]

    assert [(line["status"], line["method"]) for line in lines] == [("502", "POST")]
