"""One end of a connection."""

from __future__ import annotations


class Host:
    """An address, a port, and a name if one is known (the address otherwise)."""

    ip = "0.0.0.0"
    port = 80
    name = "unknown.tld"

    def __init__(self, ip: str, port: int, name: str | None = None) -> None:
        self.ip = ip
        self.port = port
        self.name = ip if name is None else name

    def __repr__(self) -> str:
        return f"httputil.Host({self.ip!r}, {self.port!r}, {self.name!r})"
