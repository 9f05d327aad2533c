"""The WSGI environment as the native server would have made it: what nginx says of the client, and the path as sent.

Servers of others show an application behind a Unix socket no address, no scheme and a path whose ``%2F`` became a
separator; each in its own way. Here all three are made alike, so that an application need not know who runs it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from cherrypy.http.forwarded import Trust

Environ = dict[str, Any]

#: Says which worker answers, and that the rest of the environment is as it should be.
WORKER_KEY = "kirsch.worker"

# SECURITY: what somebody in front has said of the client. It is put into the environment once it is known to be true,
# in one form, and the fields go: applications would read whichever they know.
_CLAIMS = tuple(
    f"HTTP_{name}"
    for name in (
        *("FORWARDED", "PROXY", "TRUE_CLIENT_IP", "X_CLIENT_IP", "X_CLUSTER_CLIENT_IP", "X_REAL_IP", "X_SCRIPT_NAME"),
        *("X_ORIGINAL_HOST", "X_ORIGINAL_URL", "X_REWRITE_URL"),
        *(f"X_FORWARDED_{of}" for of in ("FOR", "HOST", "PORT", "PREFIX", "PROTO", "PROTOCOL", "SCHEME", "SERVER")),
        *("X_FORWARDED_SSL", "X_FORWARDED_USER", "X_URL_SCHEME"),
    )
)


class _Fields:
    """Header fields of an environment, as ``Trust`` asks for them."""

    __slots__ = ("_environ",)

    def __init__(self, environ: Environ) -> None:
        self._environ = environ

    def get(self, key: str, default: None = None, /) -> str | None:
        """The value of a field by its usual name."""
        found: str | None = self._environ.get(f"HTTP_{key.upper().replace('-', '_')}", default)
        return found


def settle(environ: Environ, trust: Trust, worker: str) -> None:
    """Put into *environ* who asked and for what, as *trust* lets us know; the peer is always our nginx's socket.

    A request with ``X-Forwarded-Proto: https`` and ``X-Forwarded-For: 192.0.2.7`` gets ``wsgi.url_scheme`` "https" and
    ``REMOTE_ADDR`` "192.0.2.7". Applications that read the proxies' fields themselves (Flask's ``ProxyFix``, Falcon's
    ``forwarded_uri``, Django's ``USE_X_FORWARDED_HOST``) find one hop there, ours, and in it the same.
    """
    environ[WORKER_KEY] = worker
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    if "%2" in raw and not environ.get("SCRIPT_NAME"):
        environ["PATH_INFO"] = sent_path(raw)
    origin = trust.resolve("unix:", _Fields(environ))
    for key in _CLAIMS:
        environ.pop(key, None)
    if origin is None:
        environ["wsgi.url_scheme"] = "http"  # what a stranger's field made of it does not count
        return
    scheme = environ["wsgi.url_scheme"] = origin.scheme or "http"
    if scheme == "https":
        environ["HTTPS"] = "on"
    if origin.remote:
        environ["REMOTE_ADDR"] = environ["HTTP_X_FORWARDED_FOR"] = environ["HTTP_X_REAL_IP"] = origin.remote
        environ.pop("REMOTE_PORT", None)
    if origin.host:
        environ["HTTP_HOST"] = origin.host
    host = environ.get("HTTP_HOST", "")
    name, port = _split_host(host)
    if name:
        environ["HTTP_X_FORWARDED_HOST"] = host
        environ["SERVER_NAME"] = name
        environ["SERVER_PORT"] = environ["HTTP_X_FORWARDED_PORT"] = port or ("443" if scheme == "https" else "80")
    environ["HTTP_X_FORWARDED_PROTO"] = scheme


def sent_path(target: str) -> str:
    """Return the path of a request target, decoded; its ``%2F`` is none of its separators."""
    return _decode(_path_of(target))


def _split_host(host: str) -> tuple[str, str]:
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        return host, ""
    return name, port


def _path_of(target: str) -> str:
    path = target.partition("?")[0]
    if path.startswith("/"):
        return path
    return "/" + path.partition("://")[2].partition("/")[2]  # absolute-form


def _decode(path: str) -> str:
    """``/a%20b%2Fc`` gives ``/a b%2Fc``: an encoded slash stays as it is, or it would separate."""
    pieces = path.replace("%2f", "%2F").split("%2F")
    return "%2F".join(unquote_to_bytes(piece.encode("latin-1")).decode("latin-1") for piece in pieces)
