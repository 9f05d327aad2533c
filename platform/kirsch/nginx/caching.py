"""Answers that nginx keeps."""

from __future__ import annotations

from collections.abc import Iterator

from kirsch.nginx.directives import Block, Directive, Expr, block, directive, row
from kirsch.nginx.headers import public_port
from kirsch.nginx.scope import Scope
from kirsch.spec import Cache, HostPaths

ZONE = "kirsch_cache"
MAX_SIZE = "1g"
KEPT_UNASKED = "10m"
KEPT_STATUSES = (200, 301, 302, 404)


def shared_settings(scope: Scope) -> Iterator[Directive | Block]:
    """What stands once for all: the folder, and which requests are somebody's own."""
    caches = [route.cache for app in scope.stack.apps.values() for route in app.routes.values()]
    if not any(caches):
        return
    words = ("levels=1:2", f"keys_zone={ZONE}:10m", f"max_size={MAX_SIZE}", f"inactive={KEPT_UNASKED}")
    yield directive("proxy_cache_path", cache_folder(scope.paths), *words, "use_temp_path=off")
    # what a request with a cookie or with credentials is answered may be for that client alone
    own = Expr("$http_authorization$http_cookie")
    yield block("map", own, Expr("$kirsch_is_own"), body=[row("default", "1"), row("", "0")])
    known = Expr("$http_authorization")
    yield block("map", known, Expr("$kirsch_is_known"), body=[row("default", "1"), row("", "0")])


def cache_lines(scope: Scope, cache: Cache) -> list[Directive]:
    """What a location says to have its answers kept."""
    own = Expr("$kirsch_is_known" if cache.ignore_cookies else "$kirsch_is_own")
    return [
        directive("proxy_cache", ZONE),
        directive("proxy_cache_key", Expr(f"$scheme://$host{public_port(scope.build)}$request_uri")),
        directive("proxy_cache_valid", *KEPT_STATUSES, f"{cache.valid_s}s"),
        directive("proxy_cache_bypass", own),
        directive("proxy_no_cache", own),
        # of many who ask for the same at once, one asks the app; while it does, the old answer does
        directive("proxy_cache_lock", "on"),
        directive("proxy_cache_background_update", "on"),
        directive("proxy_cache_revalidate", "on"),
        directive("proxy_cache_use_stale", "error", "timeout", "updating", "http_502", "http_503", "http_504"),
    ]


def cache_folder(paths: HostPaths) -> str:
    """Where the answers are."""
    return f"{paths.nginx}/cache"
