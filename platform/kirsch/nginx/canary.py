"""Another version of an app beside it: some clients get it and stay with it, or it gets a copy of all requests."""

from __future__ import annotations

from collections.abc import Iterator

from kirsch.nginx.directives import Block, Directive, Expr, block, directive, row
from kirsch.nginx.scope import Scope, variable
from kirsch.nginx.upstream import pass_to, refuse_redirects, upstream_name
from kirsch.nginx.uwsgi import shared_files
from kirsch.spec import App, Vhost

COOKIE_PREFIX = "kirsch_canary_"
DAY_S = 86400


def maps(scope: Scope) -> Iterator[Block]:
    """The variables that the locations need: who gets what, which cookie says so, what is copied."""
    for app in scope.stack.apps.values():
        if app.canary is not None:
            yield from _split(scope, app)
    if any(app.mirror is not None and not app.mirror.unsafe for app in scope.stack.apps.values()):
        safe = [row(method, "0") for method in ("GET", "HEAD", "OPTIONS")]
        yield block("map", Expr("$request_method"), Expr("$kirsch_is_unsafe"), body=[row("default", "1"), *safe])


def chosen_upstream(app: App) -> Expr | None:
    """What is handed the requests of an app with a canary; None for others."""
    return Expr(f"${_pool(app)}") if app.canary is not None else None


def field_lines(app: App) -> list[Directive]:
    """The cookie that a client gets with its first answer, so that it stays with what it got."""
    if app.canary is None:
        return []
    return [directive("add_header", "Set-Cookie", Expr(f"${_cookie(app)}"), "always")]


def mirror_lines(app: App) -> list[Directive]:
    """What a location says whose requests are copied."""
    if app.mirror is None:
        return []
    return [directive("mirror", mirror_path(app))]


def mirror_locations(scope: Scope, vhost: Vhost, app: App) -> Iterator[Block]:
    """Where the copies go."""
    if app.mirror is None:
        return
    other = scope.stack.apps[app.mirror.app]
    body: list[Directive | Block] = [directive("internal")]
    if not app.mirror.unsafe:
        body.append(block("if", Expr("($kirsch_is_unsafe)"), body=[directive("return", 204)]))
    pool = scope.stack.pools[other.pool]
    # what was set for the request itself is set for its copy too: nobody sees files in answers to copies
    body += [*shared_files(scope, vhost, pool), directive("set", Expr("$kirsch_files"), ""), refuse_redirects(pool)]
    body += [*pass_to(pool, target="$request_uri")]
    yield block("location", "=", mirror_path(app), body=body)


def mirror_path(app: App) -> str:
    """The address of the copies, which nobody can ask for."""
    return f"/.kirsch/mirror/{app.name}"


def _split(scope: Scope, app: App) -> Iterator[Block]:
    if app.canary is None:
        return
    ours, theirs = upstream_name(app.pool), upstream_name(scope.stack.apps[app.canary.app].pool)
    name = f"{COOKIE_PREFIX}{app.name.replace('-', '_d')}"
    share, cookie = Expr(f"${variable('share', app.name)}"), Expr(f"$cookie_{name}")
    # by the request's id: every new client anew, and from then on by its cookie
    shares = [row(f"{app.canary.percent:.2f}%", "b"), row("*", "a")]
    yield block("split_clients", Expr("$request_id"), share, body=shares)
    chosen = Expr(f"${variable('version', app.name)}")
    yield block("map", cookie, chosen, body=[row("default", share), row("a", "a"), row("b", "b")])
    yield block("map", chosen, Expr(f"${_pool(app)}"), body=[row("default", ours), row("b", theirs)])
    path = app.mount
    words = f"; Path={path}; Max-Age={app.canary.days * DAY_S}; HttpOnly; SameSite=Lax"
    value = Expr(f"{name}={chosen.text}{words}")
    yield block("map", cookie, Expr(f"${_cookie(app)}"), body=[row("default", value), row("a", ""), row("b", "")])


def _pool(app: App) -> str:
    return variable("pool", app.name)


def _cookie(app: App) -> str:
    return variable("cookie", app.name)
