"""Who answers which name on which address: listeners, redirects to the right name and to TLS, and nobody's names."""

from __future__ import annotations

from collections.abc import Iterable

from kirsch.nginx.acme import challenge_location
from kirsch.nginx.directives import Block, Directive, Expr, Node, block, directive
from kirsch.nginx.fields import fields_file
from kirsch.nginx.forwarded import believed, client_scheme
from kirsch.nginx.headers import public_port
from kirsch.nginx.scope import Scope
from kirsch.nginx.tls import protocols, speaks_http3, vhost_settings
from kirsch.spec import Listen, Stack, Vhost

BACKLOG = 4096
"""Connections that may wait for nginx; the kernel cuts it to net.core.somaxconn."""

MOVED = 308
"""Permanent, and a POST stays a POST (RFC 9110, 15.4.9)."""


def catch_alls(stack: Stack) -> dict[str, str]:
    """Which vhost takes the requests that no name matches: endpoint to vhost name."""
    return {
        listen.endpoint: vhost.name for vhost in stack.vhosts.values() if not vhost.names for listen in vhost.listen
    }


def listeners(
    scope: Scope, vhost: Vhost, listens: Iterable[Listen], defaults: dict[str, str], *, owns: bool = True
) -> Iterable[Directive]:
    """The ``listen`` lines of one of *vhost*'s servers; *owns* is for the one that takes what no name matches."""
    for listen in listens:
        is_default = owns and defaults.get(listen.endpoint) == vhost.name
        yield _listen(scope, listen, is_default=is_default, http2=vhost.http2)
        if listen.tls and speaks_http3(scope, vhost):
            yield _listen_quic(listen, is_default=is_default)


def served_on(vhost: Vhost) -> tuple[Listen, ...]:
    """The addresses on which *vhost* serves its apps; on the others it only says where they are."""
    return tuple(listen for listen in vhost.listen if listen.tls) if vhost.redirect_https else vhost.listen


def redirect_servers(scope: Scope, vhost: Vhost, defaults: dict[str, str]) -> Iterable[Block]:
    """The servers of *vhost* that only send people on: to TLS, and from other names to the one that counts."""
    plain = tuple(listen for listen in vhost.listen if not listen.tls)
    if vhost.redirect_https:
        yield _sender(scope, vhost, plain, vhost.served_names, Expr(f"https://$host{_tls_port(vhost)}"), defaults)
    for target, names in vhost.redirected_names.items():
        if vhost.redirect_https:
            yield _sender(scope, vhost, vhost.listen, names, f"https://{target}{_tls_port(vhost)}", None)
        else:
            to = Expr(f"{client_scheme(vhost)}://{target}{public_port(scope.build)}")
            yield _sender(scope, vhost, vhost.listen, names, to, None)


def closing_servers(scope: Scope, defaults: dict[str, str]) -> list[Block]:
    """What answers a name that nobody has: nothing.

    One server for each address without a vhost that takes every name.
    """
    owners: dict[str, tuple[Listen, Vhost]] = {}
    for vhost in scope.stack.vhosts.values():
        for listen in vhost.listen:
            owners.setdefault(listen.endpoint, (listen, vhost))
    closing = []
    for endpoint, (listen, vhost) in owners.items():
        if endpoint in defaults:
            continue
        body: list[Node] = [_listen(scope, listen, is_default=True, http2=vhost.http2)]
        if listen.tls and speaks_http3(scope, vhost):
            body.append(_listen_quic(listen, is_default=True))
        if listen.tls and vhost.tls is not None:
            # before a name is known the address's first server says which versions of TLS there are
            body += [directive("ssl_reject_handshake", "on"), *protocols(vhost.tls.profile)]
        closing.append(block("server", body=[*body, directive("return", 444)]))
    return closing


def _sender(
    scope: Scope,
    vhost: Vhost,
    listens: tuple[Listen, ...],
    names: tuple[str, ...],
    to: str | Expr,
    defaults: dict[str, str] | None,
) -> Block:
    target = to.text if isinstance(to, Expr) else to
    body: list[Node] = [*listeners(scope, vhost, listens, defaults or {}, owns=defaults is not None)]
    if names:
        body.append(directive("server_name", *names))
    if any(listen.tls for listen in listens):
        body += vhost_settings(scope, vhost)
    body += believed(vhost, listens)
    body.append(directive("include", fields_file(scope, vhost)))
    body += challenge_location(scope, vhost, listens)
    body.append(block("location", "/", body=[directive("return", MOVED, Expr(f"{target}$request_uri"))]))
    return block("server", body=body)


def _tls_port(vhost: Vhost) -> str:
    port = next(listen.port for listen in vhost.listen if listen.tls)
    return "" if port == 443 else f":{port}"


def _listen(scope: Scope, listen: Listen, *, is_default: bool, http2: bool) -> Directive:
    words = ["ssl"] if listen.tls else []
    if listen.tls and http2 and scope.build.has("http2") and not scope.build.has("http2 directive"):
        words.append("http2")
    words += ["proxy_protocol"] if listen.proxy else []
    if is_default:
        # socket options may stand only once for an address
        words += ["default_server", f"backlog={BACKLOG}"]
    return directive("listen", listen.endpoint, *words)


def _listen_quic(listen: Listen, *, is_default: bool) -> Directive:
    return directive("listen", listen.endpoint, "quic", *(["default_server", "reuseport"] if is_default else []))
