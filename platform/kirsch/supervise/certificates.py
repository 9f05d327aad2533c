"""When the certificates of a stack end: read when their files change, not at every look."""

from __future__ import annotations

import logging
import os
import ssl
from typing import Any

from kirsch.spec import HostPaths, Stack

log = logging.getLogger(__name__)

# the ssl module decodes certificates of peers only; this has been in it since Python 2.6, for its own tests
_decode: Any = getattr(getattr(ssl, "_ssl", None), "_test_decode_cert", None)


class Certificates:
    """The ends of validity of the certificates of this host's vhosts."""

    def __init__(self, paths: HostPaths) -> None:
        self._root = paths.root
        self._known: dict[str, tuple[int, float | None]] = {}
        """By file: when it was changed, and when the certificate ends."""

    def expiries(self, stack: Stack) -> dict[str, float]:
        """Return, by vhost, when the first of its certificates ends (Unix time); of files that are there."""
        found: dict[str, float] = {}
        for vhost in stack.vhosts.values():
            moments = [self._expiry(one.certificate) for one in (vhost.tls.certificates if vhost.tls else ())]
            known = [moment for moment in moments if moment is not None]
            if known:
                found[vhost.name] = min(known)
        return found

    def _expiry(self, certificate: str) -> float | None:
        path = os.path.join(self._root, certificate)
        try:
            changed = os.stat(path).st_mtime_ns
        except OSError:
            return None  # not there yet: nginx has a stand-in
        before = self._known.get(path)
        if before is None or before[0] != changed:
            before = self._known[path] = changed, read_expiry(path)
        return before[1]


def read_expiry(path: str) -> float | None:
    """Return when the certificate in a PEM file ends; None if it cannot be read."""
    try:
        return float(ssl.cert_time_to_seconds(_decode(path)["notAfter"])) if _decode is not None else None
    except (OSError, ValueError, KeyError) as error:
        log.warning("certificate=%s cannot be read: %s", path, error)
        return None
