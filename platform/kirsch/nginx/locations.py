"""The ways into an application: one pair of locations for each mount, and what each of them says."""

from __future__ import annotations

from collections.abc import Iterable

from kirsch.nginx import accel, canary
from kirsch.nginx.assets import asset_locations, fallback, files_of, has_files
from kirsch.nginx.caching import cache_lines
from kirsch.nginx.compress import switched_off
from kirsch.nginx.directives import Block, Node, block, directive, size
from kirsch.nginx.guards import closed, route_guards
from kirsch.nginx.handlers import derived_routes
from kirsch.nginx.scope import Scope
from kirsch.nginx.upstream import pass_to, said_to
from kirsch.nginx.uwsgi import shared_files
from kirsch.spec import App, Route, Vhost

LONG_WAIT_S = 3600.0
"""How long nothing may come over a WebSocket or a stream of events."""

# once some of an upload is sent, no other worker can be tried
_KINDS = {"stream": "buffering", "events": "buffering", "upload": "request_buffering"}


def app_locations(scope: Scope, vhost: Vhost, app: App) -> Iterable[Block]:
    """``/legacy`` itself and all below it, but not ``/legacyfoo``, which is another app's."""
    routes = routes_of(scope, app)
    for path, route in routes.items():
        body = (*_body(scope, vhost, app, path, route),)
        for words in ways_into(app.mount.rstrip("/") + path):
            yield block("location", *words, body=body)
    yield from canary.mirror_locations(scope, vhost, app)
    yield from accel.file_locations(scope, vhost, app)
    yield from asset_locations(scope, vhost, app)
    if has_files(scope, app):
        yield block("location", fallback(app), body=[*_body(scope, vhost, app, "", routes[""])])


def routes_of(scope: Scope, app: App) -> dict[str, Route]:
    """Every route of *app*, path below the mount to what holds there: what the operator says counts before what follows
    from the app's configuration, and what is somebody else's place is left to them.
    """
    stack, mount = scope.stack, app.mount.rstrip("/")
    taken = {other.mount for other in stack.apps.values()} | set(stack.health.paths)
    taken |= {f"{mount}{path}" for path in (*app.assets, *files_of(scope, app))}
    derived = derived_routes(scope.ground.sections.get(app.name, {}))
    free = {path: route for path, route in derived.items() if not path or f"{mount}{path}" not in taken}
    return {"": Route(), **free, **app.routes}


def ways_into(path: str) -> tuple[tuple[str, ...], ...]:
    """The words after ``location`` that stand for *path* and all below it.

    ``ways_into("/a") == (("=", "/a"), ("/a/",))``; ``ways_into("") == (("/",),)``. Without the first of the two nginx
    would send ``/a`` to ``/a/``.
    """
    return (("=", path), (f"{path}/",)) if path else (("/",),)


def hidden_locations(scope: Scope) -> Iterable[Block]:
    """The probes are the supervisor's and the balancer's; from outside they tell too much, unless that is wanted."""
    for path in () if scope.stack.health.public else scope.stack.health.paths:
        # not `return`: it would answer before anybody has looked at who may come
        yield block("location", "=", path, body=[directive("internal")])


def _body(scope: Scope, vhost: Vhost, app: App, path: str, route: Route) -> Iterable[Node]:
    yield from closed(vhost)
    yield from route_guards(scope, vhost, app, path, route)
    if route.max_body is not None:
        yield directive("client_max_body_size", size(route.max_body))
    if not route.log:
        yield directive("access_log", "off")
    pool = scope.stack.pools[app.pool]
    yield from shared_files(scope, vhost, pool)
    if route.cache is not None:
        yield from cache_lines(scope, route.cache)
    if route.kind in _KINDS:
        yield said_to(pool, _KINDS[route.kind], "off")
    if route.kind in ("events", "stream"):
        yield from switched_off(scope.build)
    yield accel.offer(scope, app, route)
    yield from canary.field_lines(app)
    if route.kind != "upload":  # which is not here yet, so there is nothing to copy
        yield from canary.mirror_lines(app)
    wait_s = route.timeout_s or (LONG_WAIT_S if route.kind in ("events", "websocket") else None)
    yield from pass_to(pool, wait_s, canary.chosen_upstream(app))
