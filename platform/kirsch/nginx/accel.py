"""Files that a page answers with, sent by nginx: the worker names them, in ``X-Accel-Redirect``.

SECURITY: a redirect leads out of the locations that a client can ask for, so it counts only where the operator has
named folders, and only with the id of the request that it answers: what an application hands on of others' answers does
not know it, nor does a client.
"""

from __future__ import annotations

from collections.abc import Iterator

from kirsch.nginx import canary
from kirsch.nginx.directives import Block, Directive, Expr, Node, block, directive, row
from kirsch.nginx.fields import fields_file
from kirsch.nginx.scope import Scope
from kirsch.nginx.upstream import refuse_redirects
from kirsch.spec import App, Route, Vhost
from kirsch.spec.accel import ACCEL_PREFIX, CARRIED


def maps(scope: Scope) -> Iterator[Block]:
    """Where the disk begins for a redirect with the id of its request, and for any other: where nothing can be."""
    if any(app.accel for app in scope.stack.apps.values()):
        rows = [row("default", "/dev/null"), row(Expr(r"~^([0-9a-f]{32}) \1$"), "")]
        yield block("map", Expr("$args $request_id"), Expr("$kirsch_disk"), body=rows)


def offer(scope: Scope, app: App, route: Route) -> Directive:
    """What a location says of files: that nginx sends them, or that no redirect of its answers counts."""
    # a kept answer would bear the id of the request that it was made for
    if route.cache is None and any(one.accel for one in _served_by(scope, app)):
        return directive("set", Expr("$kirsch_files"), "on")
    return refuse_redirects(scope.stack.pools[app.pool])


def file_locations(scope: Scope, vhost: Vhost, app: App) -> Iterator[Block]:
    """Where the files are that *app*, or another version of it, answers with."""
    for one in _served_by(scope, app):
        for place, folder in enumerate(one.accel):
            # without the id of its request there is no disk
            top = f"$kirsch_disk{scope.on_host(folder)}/"
            body: list[Node] = [
                directive("internal"),
                directive("alias", Expr(top)),
                # the worker has resolved all links, so there is none unless somebody makes one right now
                directive("disable_symlinks", "on", Expr(f"from={top}")),
                # a file that was kept open may be another one than the worker has looked at
                directive("open_file_cache", "off"),
                # who may have it is decided already, by the location that was asked
                directive("auth_basic", "off"),
                directive("allow", "all"),
                directive("etag", "off"),
                directive("include", fields_file(scope, vhost)),
                *canary.field_lines(app),
                *[directive("add_header", name, Expr(f"$upstream_http_{_variable(name)}")) for name in CARRIED],
            ]
            yield block("location", "^~", f"{ACCEL_PREFIX}{one.name}/{place}/", body=body)


def _served_by(scope: Scope, app: App) -> list[App]:
    return [app, *([scope.stack.apps[app.canary.app]] if app.canary else [])]


def _variable(name: str) -> str:
    return name.lower().replace("-", "_")
