"""Who may come in and how often, as nginx says it: passwords, networks, rates, connections, maintenance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kirsch.nginx.directives import Block, Directive, Expr, block, directive, row
from kirsch.nginx.scope import Scope, variable
from kirsch.spec import App, Auth, Route, Vhost

ZONE_SIZE = "10m"
"""160,000 addresses of IPv4, or 80,000 of IPv6."""

Guarded = Vhost | Route


def guards(scope: Scope, guarded: Guarded, place: str) -> Iterator[Directive]:
    """What stands in a server or location for *guarded*; *place* names its file of passwords."""
    yield from _networks(guarded.deny, guarded.allow)
    if guarded.auth is not None:
        yield directive("auth_basic", guarded.auth.realm)
        yield directive("auth_basic_user_file", _passwords(scope, guarded.auth, place))
    yield from limits({place: guarded})


def limits(guarded: Mapping[str, Guarded]) -> Iterator[Directive]:
    """The rates and connections of all of *guarded*: one line in a location makes it forget those above it."""
    for place, one in guarded.items():
        if one.rate is not None:
            words = [f"burst={one.rate.burst}", "nodelay"] if one.rate.burst else []
            yield directive("limit_req", f"zone={_rate_zone(place, one)}", *words)
    for one in guarded.values():
        if one.connections is not None:
            yield directive("limit_conn", _CONNECTIONS, one.connections)


def route_guards(scope: Scope, vhost: Vhost, app: App, path: str, route: Route) -> Iterator[Directive]:
    """The same for *route*, which is reached through *vhost*: its limits come on top of the vhost's."""
    place = _place(app, path)
    if route.deny or route.allow:
        yield from _networks((*vhost.deny, *route.deny), route.allow or vhost.allow)
    for line in guards(scope, route, place):
        if line.name in ("auth_basic", "auth_basic_user_file"):
            yield line
    if route.rate is not None or route.connections is not None:
        yield from limits({vhost.name: vhost, place: route})


def zones(scope: Scope) -> Iterator[Directive]:
    """The memory that nginx's processes share for :func:`limits`; the same for all who say the same.

    A zone bears what it counts in its name: nginx never takes up a zone whose key has changed (its issue 860).
    """
    guarded = _all_guarded(scope)
    rates = {_rate_zone(place, one): one for place, one in guarded.items() if one.rate is not None}
    for name, one in sorted(rates.items()):
        number, _, unit = one.rate.limit.partition("/") if one.rate else ("", "", "")
        yield directive("limit_req_zone", _key(one), f"zone={name}:{ZONE_SIZE}", f"rate={number}r/{unit}")
    has_connections = any(one.connections is not None for one in guarded.values())
    if has_connections:
        yield directive("limit_conn_zone", Expr("$binary_remote_addr"), f"zone={_CONNECTIONS}:{ZONE_SIZE}")
    if rates or has_connections:
        yield directive("limit_req_status", 429)
        yield directive("limit_conn_status", 429)
        # each of them stands in the access log; an attack need not fill a second one
        yield directive("limit_req_log_level", "info")
        yield directive("limit_conn_log_level", "info")


def password_files(scope: Scope) -> dict[str, str]:
    """The files of passwords of a generation: name to content."""
    return {
        password_file(place): _lines(one.auth)
        for place, one in _all_guarded(scope).items()
        if one.auth is not None and one.auth.users
    }


def closed(vhost: Vhost) -> list[Block]:
    """What each location begins with while *vhost* is under maintenance for all but a few."""
    if not vhost.maintenance:
        return []
    return [block("if", Expr(f"(${variable('closed', vhost.name)})"), body=[directive("return", 503)])]


def maps(scope: Scope) -> Iterator[Block]:
    """The ``geo`` blocks that :func:`closed` needs."""
    for vhost in scope.stack.vhosts.values():
        if vhost.maintenance:
            open_to = [row(network, "0") for network in dict.fromkeys(vhost.maintenance.bypass)]
            body = [row("default", "1"), *open_to]
            yield block("geo", Expr(f"${variable('closed', vhost.name)}"), body=body)


_CONNECTIONS = "kirsch_connections"


def _networks(deny: Iterable[str], allow: Sequence[str]) -> Iterator[Directive]:
    for network in deny:
        yield directive("deny", network)
    for network in allow:
        yield directive("allow", network)
    if allow:
        yield directive("deny", "all")


def _all_guarded(scope: Scope) -> dict[str, Guarded]:
    found: dict[str, Guarded] = dict(scope.stack.vhosts)
    for app in scope.stack.apps.values():
        found |= {_place(app, path): route for path, route in app.routes.items()}
    return found


def _place(app: App, path: str) -> str:
    # no vhost is called like that
    return f"{app.name}.{_digest(path)}"


def _key(guarded: Guarded) -> Expr:
    """What is counted. Vhosts that allow the same share their memory, as there may be ten thousand of them."""
    counted = "$binary_remote_addr" if guarded.rate and guarded.rate.per == "client" else "all"
    return Expr(f"$server_name:{counted}" if isinstance(guarded, Vhost) else counted)


def _rate_zone(place: str, guarded: Guarded) -> str:
    whose = "" if isinstance(guarded, Vhost) else place
    limit = guarded.rate.limit if guarded.rate else ""
    return f"kirsch_rate_{_digest(f'{whose} {_key(guarded).text} {limit}')}"


def _passwords(scope: Scope, auth: Auth, place: str) -> str:
    if auth.users_file is not None:
        return scope.on_host(auth.users_file)
    return f"{scope.paths.nginx_current}/{password_file(place)}"


def password_file(place: str) -> str:
    """The file of passwords of *place*, a vhost's name or a route's, in a generation."""
    return f"passwords/{place}"


def _lines(auth: Auth) -> str:
    return "".join(f"{name}:{password}\n" for name, password in auth.users.items())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
