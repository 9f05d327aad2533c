"""Every way in which a client can claim to be somebody else, and what an answer says of each.

Pure. A forgery is what a client sends besides an honest request; the honest request's answer is the truth that each
other answer is held against.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from kirsch.link.belief import Belief

ADDRESS = "203.0.113.66"
HOST = "forged.example"
PREFIX = "/forged"
SCHEME = "{scheme}"
"""Stands for the scheme that the connection does not have."""

Verdict = Literal["refused", "cleared", "passed on", "BELIEVED", "unclear"]

REFUSALS = frozenset({0, 400, 404, 421, 431, 501, 505})
"""Statuses by which a request is not taken; 0 is a connection that was closed without a word."""


@dataclass(frozen=True, slots=True)
class Forgery:
    """Fields that a client adds to its request, or another form of it."""

    name: str
    fields: tuple[tuple[str, str], ...] = ()
    form: Literal["origin", "absolute", "proxied"] = "origin"
    """``absolute``: the target names the true host and Host the forged one; ``proxied``: a PROXY line goes before."""
    may_pass: bool = False
    """True for fields that nobody believes unless told to, and that a network in front of the site may set."""

    @property
    def sent(self) -> str:
        """One line for the eye."""
        form = {"origin": "", "absolute": f"http://HOST/ Host: {HOST}", "proxied": f"PROXY TCP4 {ADDRESS}"}[self.form]
        fields = ", ".join(f"{name}: {value}" for name, value in self.fields)
        return (form or fields).replace("\r\n", "\\r\\n").replace(SCHEME, "other scheme")


def _one(name: str, value: str, *, may_pass: bool = False) -> Forgery:
    return Forgery(name, ((name, value),), may_pass=may_pass)


def _make_all() -> Iterator[Forgery]:
    for name in ("X-Forwarded-For", "X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP", "True-Client-IP"):
        yield _one(name, ADDRESS)
    for name in ("X-Forwarded-Host", "X-Forwarded-Server", "X-Original-Host"):
        yield _one(name, HOST)
    for name in ("X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Forwarded-Protocol"):
        yield _one(name, SCHEME)
    yield _one("X-Forwarded-Ssl", "on")
    yield _one("X-Forwarded-Port", "6666")
    yield _one("X-Forwarded-User", "forged")
    for name in ("X-Forwarded-Prefix", "X-Script-Name", "X-Original-URL", "X-Rewrite-URL"):
        yield _one(name, PREFIX)
    yield _one("Forwarded", f"for={ADDRESS};host={HOST};proto={SCHEME}")
    yield _one("X-Request-ID", "forged")
    yield _one("X-Request-Start", "t=1.000")
    yield Forgery("httpoxy", (("Proxy", f"http://{HOST}/"),))
    yield Forgery(
        "all at once",
        (
            ("X-Forwarded-For", ADDRESS),
            ("X-Forwarded-Proto", SCHEME),
            ("X-Forwarded-Host", HOST),
            ("X-Forwarded-Port", "6666"),
            ("X-Forwarded-Prefix", PREFIX),
            ("X-Real-IP", ADDRESS),
        ),
    )
    yield Forgery("a chain", (("X-Forwarded-For", f"{ADDRESS}, 127.0.0.1, unix:"),))
    yield Forgery("field twice", (("X-Forwarded-For", ADDRESS), ("X-Forwarded-For", ADDRESS)))
    yield Forgery("lower case", (("x-forwarded-for", ADDRESS), ("x-forwarded-host", HOST)))
    for name, value in (
        ("X_Forwarded_For", ADDRESS),
        ("X_Forwarded_Host", HOST),
        ("X_Forwarded_Proto", SCHEME),
        ("X_Real_IP", ADDRESS),
        ("X_Forwarded-For", ADDRESS),
    ):
        yield Forgery(f"underscore: {name}", ((name, value),))
    yield Forgery("folded line", (("X-Forwarded-For", f"\r\n {ADDRESS}"),))
    yield Forgery("blank before colon", (("X-Forwarded-For ", ADDRESS),))
    yield Forgery("no field name", (("", ADDRESS),))
    yield Forgery(
        "hop by hop",
        (("Connection", "close, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Real-IP"),),
    )
    yield Forgery(
        "hop by hop, with one",
        (("Connection", "close, X-Forwarded-For"), ("X-Forwarded-For", ADDRESS)),
    )
    yield Forgery("second Host", (("Host", HOST),))
    yield Forgery("absolute form", form="absolute")
    yield Forgery("PROXY line", form="proxied")
    yield Forgery("environment: SCRIPT_NAME", (("SCRIPT_NAME", PREFIX), ("Script-Name", PREFIX)), may_pass=True)
    yield Forgery("environment: REMOTE_ADDR", (("REMOTE_ADDR", ADDRESS), ("Remote-Addr", ADDRESS)), may_pass=True)
    for name in ("CF-Connecting-IP", "Fastly-Client-IP", "X-Azure-ClientIP", "X-Envoy-External-Address"):
        yield _one(name, ADDRESS, may_pass=True)
    for name, value in (("Front-End-Https", "on"), ("X-Url-Scheme", SCHEME), ("X-Arr-Ssl", "2048|256|C=US")):
        yield _one(name, value)


FORGERIES = tuple(_make_all())


@dataclass(frozen=True, slots=True)
class Outcome:
    """One forgery sent."""

    forgery: Forgery
    passed: tuple[str, ...]
    """``field: value`` of what reached the application as it was sent."""
    believed: tuple[str, ...]
    """What the application takes for true, as far as it differs from the truth."""
    verdict: Verdict

    @property
    def is_good(self) -> bool:
        """True when nobody was deceived, and nobody could have been."""
        return self.verdict in ("refused", "cleared") or (self.verdict == "passed on" and self.forgery.may_pass)


def request_octets(forgery: Forgery | None, path: str, host: str, scheme: str) -> bytes:
    """The request of a client that forges; None for an honest one."""
    other = "https" if scheme == "http" else "http"
    fields = forgery.fields if forgery else ()
    target, named = path, host
    before = ""
    if forgery is not None and forgery.form == "absolute":
        # with the true port: which port a client names is its own affair, in any form
        target, named = f"{scheme}://{host}{path}", HOST + host[len(host.rpartition(":")[0]) :] * (":" in host)
    if forgery is not None and forgery.form == "proxied":
        before = f"PROXY TCP4 {ADDRESS} 127.0.0.1 4711 80\r\n"
    if not any(name == "Connection" for name, _ in fields):
        fields = (*fields, ("Connection", "close"))
    lines = "".join(f"{name}: {value.replace(SCHEME, other)}\r\n" for name, value in fields)
    return f"{before}GET {target} HTTP/1.1\r\nHost: {named}\r\nUser-Agent: kirsch-probe\r\n{lines}\r\n".encode(
        "latin-1"
    )


def judge(forgery: Forgery, truth: Belief, answer: Belief | int) -> Outcome:
    """Say what became of *forgery*; *answer* is a status where no application said what it believes."""
    if isinstance(answer, int):
        return Outcome(forgery, (), (), "refused" if answer in REFUSALS else "unclear")
    other = "https" if truth.scheme == "http" else "http"
    passed = tuple(
        f"{name}: {answer.fields[name]}"
        for name, value in dict(_as_seen(forgery, other)).items()
        if value in answer.fields.get(name, "") and truth.fields.get(name) != answer.fields[name]
    )
    believed = tuple(
        f"{what} {seen or 'none'}"
        for what, true, seen in (
            ("base", truth.base, answer.base),
            ("remote", truth.remote, answer.remote),
            ("scheme", truth.scheme, answer.scheme),
        )
        if true != seen
    )
    return Outcome(forgery, passed, believed, "BELIEVED" if believed else "passed on" if passed else "cleared")


def _as_seen(forgery: Forgery, other: str) -> Iterator[tuple[str, str]]:
    """Names as an application would look them up: WSGI cannot tell ``X_Real_IP`` from ``X-Real-IP``."""
    for name, value in forgery.fields:
        text = value.replace(SCHEME, other).strip()
        name = name.strip().lower()
        if name and name not in ("connection", "host"):
            yield name, text
            yield name.replace("_", "-"), text
