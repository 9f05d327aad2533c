"""Whom the site's server believes what they say of clients: ``server.trusted_proxies``."""

from __future__ import annotations

from typing import Any

from cherrypy.http.forwarded import Headers, Origin, Trust


class ServerTrust:
    """``trusted_proxies`` of a *server* adapter, looked at for each request, since it may be set at any time."""

    __slots__ = ("_known", "_trust", "server")

    def __init__(self, server: Any) -> None:
        self.server = server
        self._known: tuple[str, ...] = ()
        self._trust = Trust(())

    def resolve(self, peer: tuple[str, int], headers: Headers) -> Origin | None:
        """Return what the other end of the connection, *peer*, may say of the client; None if it may say nothing."""
        # a stand-in for the adapter, as tests have them, may know none of the settings
        trusted = getattr(self.server, "trusted_proxies", None)
        if not trusted:
            return None
        known = tuple(trusted)
        if known != self._known:
            self._known, self._trust = known, Trust(known)
        return self._trust.resolve(peer[0] or "unix:", headers)


class EnvironFields:
    """Header fields of a WSGI environ, by their usual names."""

    __slots__ = ("_environ",)

    def __init__(self, environ: dict[str, Any]) -> None:
        self._environ = environ

    def get(self, key: str, default: None = None, /) -> str | None:
        """The value of a field, or None."""
        found: str | None = self._environ.get(f"HTTP_{key.upper().replace('-', '_')}", default)
        return found


def believe(environ: dict[str, Any], origin: Origin) -> None:
    """Put into a WSGI environ who asked, and for what.

    The prefix is left out: where an application lies below it, its SCRIPT_NAME is the tree's to say.
    """
    if origin.remote:
        environ["REMOTE_ADDR"] = origin.remote
        environ["REMOTE_PORT"] = ""
    if origin.host:
        environ["HTTP_HOST"] = origin.host
    if origin.scheme:
        environ["wsgi.url_scheme"] = origin.scheme
