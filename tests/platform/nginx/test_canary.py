"""Another version of an app beside it, as clients and both versions see it."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.nginx

Serve = Callable[..., Any]
Get = Callable[..., tuple[int, dict[str, str], Any]]
BASE = (
    '[stack]\nname = "x"\n[pool.web]\nworkers = 1\n[pool.next]\nworkers = 1\n[app.next]\nentry = "next:Root"\n'
    'pool = "next"\n[app.shop]\nentry = "shop:Root"\n'
)


def test_a_share_of_the_clients_gets_the_other_version_and_stays_with_it(
    serve: Serve, get: Get, free_port: Callable[[], int], worker: Callable[..., Any]
) -> None:
    """New clients by chance, known ones by their cookie; a forged cookie is a new client."""
    port = free_port()
    worker("next", 1)
    serve(f'canary = {{ app = "next", percent = 50 }}\n[vhost.main]\nlisten = ["127.0.0.1:{port}"]\n', base=BASE)
    found: dict[str, str] = {}
    for _ in range(40):
        _, fields, body = get(port)
        cookie = fields["set-cookie"].partition(";")[0]
        found[body["worker"]] = cookie
    again = {body["worker"]: cookie for cookie in found.values() for body in [get(port, Cookie=cookie)[2]]}
    known = get(port, "/a%2Fb?c", Cookie=found["next.1"])

    assert found == again == {"web.1": "kirsch_canary_shop=a", "next.1": "kirsch_canary_shop=b"}
    assert "set-cookie" not in known[1]
    assert known[2]["line"] == "GET /a%2Fb?c HTTP/1.1"
    assert "set-cookie" in get(port, Cookie="kirsch_canary_shop=$request_id")[1]
    assert {"HttpOnly", "SameSite=Lax", "Max-Age=86400", "Path=/"} <= set(get(port)[1]["set-cookie"].split("; "))


@pytest.mark.parametrize(("unsafe", "copied"), [("false", ["GET"]), ("true", ["GET", "POST"])])
def test_another_app_gets_a_copy_of_what_comes(
    serve: Serve, get: Get, free_port: Callable[[], int], worker: Callable[..., Any], unsafe: str, copied: list[str]
) -> None:
    """Its answers, and its failures, are nobody's; what changes something is copied only on request."""
    port = free_port()
    other = worker("next", 1)
    seen: queue.Queue[str] = queue.Queue()

    def fail(handler: Any, line: str) -> None:
        seen.put(line.strip())
        handler.wfile.write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    other.script = fail
    text = f'mirror = {{ app = "next", unsafe = {unsafe} }}\n[vhost.main]\nlisten = ["127.0.0.1:{port}"]\n'
    serve(text, base=BASE)
    answers = [get(port, "/x%2Fy?z", method="POST", Content_Length="0"), get(port, "/x%2Fy?z")]
    lines = {seen.get(timeout=10) for _ in copied}

    assert [(status, body["worker"]) for status, _, body in answers] == [(200, "web.1")] * 2
    assert lines == {f"{method} /x%2Fy?z HTTP/1.1" for method in copied}
    assert seen.empty()
    assert get(port, "/.kirsch/mirror/shop")[0] == 404
