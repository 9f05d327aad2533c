"""The ways into an application: one pair of locations for each mount, and what each of them says."""

from __future__ import annotations

from collections.abc import Iterable

from kirsch.nginx.directives import Block, Directive, Node, block, directive
from kirsch.nginx.fields import fields_file
from kirsch.nginx.headers import proxy_file
from kirsch.nginx.scope import Scope
from kirsch.nginx.upstream import pass_to
from kirsch.spec import App, Vhost


def app_locations(scope: Scope, vhost: Vhost, app: App) -> Iterable[Block]:
    """``/legacy`` itself and all below it, but not ``/legacyfoo``, which is another app's."""
    for words in ways_into(app.mount):
        yield block("location", *words, body=[*_body(scope, vhost, app)])


def ways_into(path: str) -> tuple[tuple[str, ...], ...]:
    """The words after ``location`` that stand for *path* and all below it.

    ``ways_into("/a") == (("=", "/a"), ("/a/",))``; ``ways_into("/a/") == (("/a/",),)``.
    """
    return ((path,),) if path.endswith("/") else (("=", path), (f"{path}/",))


def hidden_locations(scope: Scope) -> Iterable[Block]:
    """The probes are the supervisor's and the balancer's; from outside they tell too much."""
    for path in dict.fromkeys((scope.stack.health.live.path, scope.stack.health.ready.path)):
        yield block("location", "=", path, body=[directive("return", 404)])


def _body(scope: Scope, vhost: Vhost, app: App) -> Iterable[Node]:
    yield from shared_files(scope, vhost)
    yield from pass_to(scope.stack.pools[app.pool])


def shared_files(scope: Scope, vhost: Vhost) -> list[Directive]:
    """What a worker is told, and what is added to its answer."""
    return [directive("include", proxy_file(vhost)), directive("include", fields_file(scope, vhost))]
