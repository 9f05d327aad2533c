"""Other hosts behind an edge: an upstream of addresses, and the vhost that hands everything on to it.

Each host has an nginx of its own, which shields its workers, keeps to its time limits and knows which of its answers
are streams. So the edge hands on as it comes, and only finds a host that is there.
"""

from __future__ import annotations

from collections.abc import Iterator

from kirsch.errors import Problem, SpecError
from kirsch.nginx.directives import Block, Directive, Expr, Value, block, directive, row, seconds
from kirsch.nginx.guards import closed
from kirsch.nginx.scope import Scope, variable
from kirsch.nginx.upstream import refuse_redirects
from kirsch.nginx.uwsgi import shared_files
from kirsch.nginx.version import version_text
from kirsch.spec import Member, Upstream, Vhost

KEEPALIVE_TIMEOUT_S = 30.0
"""Shorter than the 65 s of the hosts' nginx, so that the edge is the one that closes."""


def hosts_name(name: str) -> str:
    """The name in ``proxy_pass http://NAME``."""
    return f"hosts_{name}"


def upstream(scope: Scope, hosts: Upstream) -> Block | None:
    """The ``upstream`` block of *hosts*; None where a variable stands for it.

    Raises:
        SpecError: this nginx has no way to do what *hosts* asks for.
    """
    if _is_variable(scope, hosts):
        return None
    return block(
        "upstream",
        hosts_name(hosts.name),
        body=[
            directive("zone", hosts_name(hosts.name), "256k" if len(hosts.members) > 64 else "64k"),
            *_balancer(scope, hosts),
            *[_server(scope, hosts, member) for member in hosts.members],
            *(_resolver(scope, hosts) if _resolves(scope, hosts) else []),
            directive("keepalive", 64),
            directive("keepalive_timeout", seconds(KEEPALIVE_TIMEOUT_S)),
            directive("keepalive_requests", 1000),
        ],
    )


def maps(scope: Scope) -> Iterator[Block]:
    """What keeps clients with their hosts where nginx has no ``sticky``: a cookie with a number, and its place."""
    for hosts in scope.stack.upstreams.values():
        if hosts.sticky is None or scope.build.has("sticky"):
            continue
        sent, key = Expr(f"$cookie_{_cookie(hosts)}"), Expr(f"${variable('host', hosts.name)}")
        known = Expr("~^[0-9a-f]{32}$")
        yield block("map", sent, key, body=[row("default", Expr("$request_id")), row(known, sent)])
        words = f"; Path=/; Max-Age={hosts.sticky.days * 86400}; HttpOnly; SameSite=Lax"
        value = Expr(f"{_cookie(hosts)}=$request_id{words}")
        new = Expr(f"${variable('newhost', hosts.name)}")
        yield block("map", sent, new, body=[row("default", value), row(known, "")])


def hosts_location(scope: Scope, vhost: Vhost, hosts: Upstream) -> Block:
    """Everything of *vhost*, handed on to *hosts*."""
    to = Expr(f"http://{hosts_name(hosts.name)}")
    named: list[Directive] = []
    if _is_variable(scope, hosts):
        place = Expr(f"${variable('hosts', hosts.name)}")
        named = [directive("set", place, hosts.members[0].address), *_resolver(scope, hosts)]
        to = Expr(f"http://{place.text}")
    sticky: list[Directive] = []
    if hosts.sticky is not None and not scope.build.has("sticky"):
        sticky = [directive("add_header", "Set-Cookie", Expr(f"${variable('newhost', hosts.name)}"), "always")]
    return block(
        "location",
        "/",
        body=[
            *closed(vhost),
            *shared_files(scope, vhost),
            refuse_redirects(),
            *sticky,
            *named,
            # the host's nginx shields its workers from slow clients, and knows which answers are streams
            directive("proxy_buffering", "off"),
            directive("proxy_socket_keepalive", "on"),
            directive("proxy_next_upstream_tries", hosts.tries),
            directive("proxy_read_timeout", seconds(hosts.timeout_s)),
            directive("proxy_send_timeout", seconds(hosts.timeout_s)),
            directive("proxy_pass", to),
        ],
    )


def _balancer(scope: Scope, hosts: Upstream) -> list[Directive]:
    if hosts.sticky is None:
        return [directive("least_conn")]
    if scope.build.has("sticky"):
        words = ("path=/", f"expires={hosts.sticky.days}d", "httponly", "samesite=lax")
        return [directive("least_conn"), directive("sticky", "cookie", _cookie(hosts), *words)]
    if any(member.backup for member in hosts.members):
        raise _impossible(
            f"upstream.{hosts.name}.sticky", scope, "1.29.6, or no member with backup = true: a hash knows none"
        )
    # its members keep their places while one is down: only its own clients go elsewhere
    return [directive("hash", Expr(f"${variable('host', hosts.name)}"), "consistent")]


def _server(scope: Scope, hosts: Upstream, member: Member) -> Directive:
    words: list[Value] = [member.address]
    if member.weight != 1:
        words.append(f"weight={member.weight}")
    words += [f"max_fails={member.max_fails}", f"fail_timeout={seconds(member.fail_timeout_s)}"]
    if member.is_name and _resolves(scope, hosts):
        words.append("resolve")
    words += [word for word, is_on in (("backup", member.backup), ("down", member.down)) if is_on]
    return directive("server", *words)


def _resolves(scope: Scope, hosts: Upstream) -> bool:
    return scope.build.has("resolve") and _has_resolver(scope, hosts)


def _is_variable(scope: Scope, hosts: Upstream) -> bool:
    """True where a name is asked for anew only if it stands in a variable, which a group of hosts cannot be."""
    is_alone = len(hosts.members) == 1 and not hosts.members[0].down
    return is_alone and not scope.build.has("resolve") and _has_resolver(scope, hosts)


def _has_resolver(scope: Scope, hosts: Upstream) -> bool:
    servers = hosts.resolver or scope.ground.nameservers
    return hosts.resolve and bool(servers) and any(member.is_name for member in hosts.members)


def _resolver(scope: Scope, hosts: Upstream) -> list[Directive]:
    servers = hosts.resolver or scope.ground.nameservers
    return [directive("resolver", *servers), directive("resolver_timeout", "2s")]


def _cookie(hosts: Upstream) -> str:
    return f"kirsch_host_{hosts.name.replace('-', '_d')}"


def _impossible(key: str, scope: Scope, needed: str) -> SpecError:
    given = f"nginx {version_text(scope.build.version)}"
    return SpecError([Problem(file="", key=key, given=given, allowed=f"nginx {needed}")])
