"""Who the client is when somebody stands before nginx: a balancer of connections (PROXY), or one that speaks HTTP."""

from __future__ import annotations

from collections.abc import Iterable

from kirsch.nginx.directives import Block, Directive, Expr, block, directive, row
from kirsch.nginx.scope import Scope, variable
from kirsch.spec import Listen, Vhost


def believed(vhost: Vhost, listens: Iterable[Listen]) -> list[Directive]:
    """The directives of a server that take the client's address from those before it."""
    if not vhost.trusted_proxies:
        return []
    field = "proxy_protocol" if any(listen.proxy for listen in listens) else "X-Forwarded-For"
    return [
        *[directive("set_real_ip_from", network) for network in vhost.trusted_proxies],
        directive("real_ip_header", field),
        # from the right through all that are trusted; without it the last hop would do
        directive("real_ip_recursive", "on"),
    ]


def is_behind_http(vhost: Vhost) -> bool:
    """True when trusted proxies that speak HTTP stand before *vhost*: they know how the client came."""
    return bool(vhost.trusted_proxies) and not any(listen.proxy for listen in vhost.listen)


def client_scheme(vhost: Vhost) -> str:
    """The variable that says how the client came: ``$scheme``, or what a trusted proxy says of it."""
    return f"${variable('scheme', vhost.name)}" if is_behind_http(vhost) else "$scheme"


def maps(scope: Scope) -> list[Block]:
    """The blocks that :func:`client_scheme` needs: the word of a trusted proxy counts, anybody else's does not."""
    found = []
    for vhost in scope.stack.vhosts.values():
        if not is_behind_http(vhost):
            continue
        trusted = Expr(f"${variable('trusted', vhost.name)}")
        networks = [row(network, "1") for network in dict.fromkeys(vhost.trusted_proxies)]
        found.append(block("geo", Expr("$realip_remote_addr"), trusted, body=[row("default", "0"), *networks]))
        found.append(
            block(
                "map",
                Expr(f"{trusted.text}:$http_x_forwarded_proto"),
                Expr(client_scheme(vhost)),
                body=[row("default", Expr("$scheme")), row("1:http", "http"), row("1:https", "https")],
            )
        )
    return found
