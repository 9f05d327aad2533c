"""The catalogue of causes, by evidence as it was recorded."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.observe.accesslog import AccessLine
from kirsch.observe.why import CATALOGUE, Evidence, Inside, judge
from kirsch.spec import App, Pool, Stack, Vhost
from kirsch.spec.guard import Maintenance
from kirsch.spec.vhost import Listen

STACK = Stack(
    name="demo",
    apps={"shop": App(name="shop", entry="shop:Root")},
    pools={"web": Pool(name="web")},
    vhosts={
        "main": Vhost(
            name="main", names=("shop.test",), listen=(Listen(address="127.0.0.1", port=8080),), apps=("shop",)
        ),
        "tls": Vhost(name="tls", names=("tls.test",), listen=(Listen(address="127.0.0.1", port=8443, tls=True),)),
        "shut": Vhost(name="shut", names=("shut.test",), maintenance=Maintenance()),
    },
)
SLOT = "unix:/run/slots/web.1.sock"


def line(status: int, **more: str) -> AccessLine:
    """A line of nginx's; *answer* stands for one try with that answer."""
    answer = more.pop("answer", "")
    tried = {"upstream": SLOT, "upstream_status": answer} if answer else {}
    usual = {"id": "a1", "msec": "1000.0", "method": "GET", "uri": "/cart", "host": "shop.test", "vhost": "shop.test"}
    return AccessLine(status=str(status), **{**usual, **tried, **more})


def death(kind: str = "died", message: str = "killed by SIGKILL") -> dict[str, Any]:
    """The end of the worker that has the request."""
    running = [{"id": "a1", "line": "GET /cart", "handler": "shop.py: Root.cart"}]
    return {"kind": kind, "at": 1000.0, "worker": "web.1", "pid": 7, "message": message, "running": running}


def event(kind: str, **more: Any) -> dict[str, Any]:
    """Something of the pool's, at that moment."""
    return {"kind": kind, "at": 999.0, "worker": "web.1", **more}


def error(text: str) -> tuple[str, ...]:
    """What nginx's error log says."""
    return (f"{text}, client: 127.0.0.1, server: shop.test",)


LOOP = tuple(line(303, answer="303", uri="/loop", client="1", msec=f"{999 - number}") for number in range(6))
TRACE = (
    "2026-11-21T21:00:00.1Z ERROR cherrypy.error [a1] HTTP\nTraceback (most recent call last):\n  …\nValueError: no jam"
)
HELD = line(503, answer="503", worker="holding")
CASES: dict[str, list[Evidence]] = {
    "killed_for_memory": [Evidence(line=line(502, answer="502"), events=(event("memory"), death()))],
    "deadline": [Evidence(line=line(504, answer="504"), events=(event("stuck", requests=["GET /cart in x (2.0 s)"]),))],
    "killed": [Evidence(line=line(502, answer="502"), events=(death(),))],
    "worker_died": [Evidence(line=line(502, answer="502"), events=(death(message="exit status 41"),))],
    "cut_by_drain": [Evidence(line=line(502, answer="502"), events=(death("stopped", "exit status 0"),))],
    "timeout": [Evidence(line=line(504, answer="504"), errors=error("upstream timed out (110: Connection timed out)"))],
    "crash_loop": [Evidence(line=HELD, events=(event("died", message="exit 1"), event("parked")))],
    "boot_failed": [Evidence(line=HELD, events=(event("failed", message="import x: ImportError"),))],
    "paused": [Evidence(line=HELD, events=({"kind": "paused", "at": 999.0, "pool": "web"},))],
    "no_worker": [Evidence(line=HELD)],
    "broken_app": [Evidence(line=line(503, answer="503"), notes={"web.1": "app shop is broken: ImportError"})],
    "closed_early": [Evidence(line=line(502, answer="502"), errors=error("upstream prematurely closed connection"))],
    "answer_head_too_large": [Evidence(line=line(502, answer="502"), errors=error("upstream sent too big header"))],
    "invalid_answer": [Evidence(line=line(502, answer="502"), errors=error("upstream sent invalid header"))],
    "nobody_listens": [Evidence(line=line(502, answer="502"), errors=error(f"connect() to {SLOT} failed (111)"))],
    "change_under_way": [Evidence(line=line(502, answer="502"), events=(event("rolled"),))],
    "session_store": [
        Evidence(
            line=line(503, answer="503"), log=("x ERROR y The session store does not answer: redis at x: refused",)
        )
    ],
    "exception": [
        Evidence(line=line(500, answer="500"), log=(TRACE,)),
        Evidence(line=line(500, answer="500"), capture={"exception": "KeyError: 1"}),
    ],
    "own_error": [Evidence(line=line(503, answer="503", worker="web.1"))],
    "body_refused": [Evidence(line=line(413, answer="413"))],
    "method_not_allowed": [Evidence(line=line(405, answer="405"))],
    "forbidden": [Evidence(line=line(403, answer="403")), Evidence(line=line(401, answer="401"))],
    "bad_input": [Evidence(line=line(418, answer="418"))],
    "under_way": [Evidence(inside=Inside(id="a1", line="GET /", worker="web.1", handler="x", for_s=2.0))],
    "tls_on_plain": [Evidence(line=line(400, method="", uri="", line="\x16\x03\x01\x02"))],
    "plain_on_tls": [Evidence(line=line(400, port="8443"))],
    "tls_handshake": [Evidence(line=line(400, method=""), errors=error("SSL_do_handshake() failed"))],
    "head_too_large": [Evidence(line=line(414)), Evidence(line=line(400, request_bytes="20000"))],
    "bad_request": [Evidence(line=line(400, method="", uri="", line="NONSENSE"))],
    "wrong_host": [Evidence(line=line(444, host="shopp.test", vhost=""))],
    "maintenance": [Evidence(line=line(503, host="shut.test", vhost="shut.test"))],
    "rate_limited": [Evidence(line=line(429))],
    "denied_by_address": [Evidence(line=line(403), errors=error("access forbidden by rule"))],
    "password": [Evidence(line=line(401))],
    "disk_full": [Evidence(line=line(500), errors=error('pwritev() "/x/1" failed (28: No space left on device)'))],
    "file_forbidden": [Evidence(line=line(403), errors=error('open() "/a/b" failed (13: Permission denied)'))],
    "folder_forbidden": [Evidence(line=line(403), errors=error('directory index of "/a/" is forbidden'))],
    "spool_forbidden": [Evidence(line=line(500), errors=error('open() "/r/temp/client_body/1" failed (2: None)'))],
    "body_too_large": [Evidence(line=line(413), errors=error("client intended to send too large body: 9 bytes"))],
    "client_slow": [Evidence(line=line(408))],
    "client_gone": [Evidence(line=line(499, answer="-"))],
    "redirect_loop": [Evidence(line=LOOP[0], neighbours=LOOP[1:])],
    "no_such_path": [Evidence(line=line(404))],
    "no_such_page": [Evidence(line=line(404, answer="404"))],
    "none": [Evidence(line=line(200, answer="200"))],
}


@pytest.mark.parametrize(("cause", "found"), [(cause, found) for cause, all_of in CASES.items() for found in all_of])
def test_a_cause_is_named(cause: str, found: Evidence) -> None:
    """By the first entry that matches, in a sentence and with a cure."""
    whole = Evidence(
        **{name: getattr(found, name) for name in Evidence.__dataclass_fields__} | {"id": "a1", "stack": STACK}
    )
    verdict = judge(whole)

    assert verdict.cause == cause
    assert verdict.sentence.endswith(".")
    assert verdict.cure or cause == "none"


def test_every_cause_has_its_evidence() -> None:
    """The catalogue and the cases above are the same; keys are given once."""
    keys = [cause.key for cause in CATALOGUE]

    assert sorted(keys) == sorted(CASES)
    assert len(keys) >= 20


def test_the_nearest_path_is_told() -> None:
    """Of those that answered lately on the same vhost."""
    neighbours = (line(200, answer="200", uri="/cart?x=1"), line(404, uri="/cars"))
    verdict = judge(Evidence(id="a1", line=line(404, uri="/carrt"), neighbours=neighbours, stack=STACK))

    assert "the nearest that answered lately is /cart." in verdict.sentence


def test_events_of_other_pools_and_times_explain_nothing() -> None:
    """Nor does the death of a worker that was inside of other requests."""
    elsewhere = {"kind": "stuck", "at": 999.0, "worker": "late.1", "requests": ["GET /cart"]}
    earlier = event("stuck") | {"at": 900.0, "requests": ["GET /cart"]}
    other = death() | {"running": [{"id": "b2"}]}
    found = Evidence(id="a1", line=line(502, answer="502"), events=(earlier, elsewhere, other), stack=STACK)

    assert judge(found).cause == "unknown"


def test_what_nobody_knows_is_said() -> None:
    """With what else can be looked at."""
    assert judge(Evidence(id="a1", line=line(500))).cause == "unknown"
    assert "nobody knows of it" in judge(Evidence(id="a1")).sentence
