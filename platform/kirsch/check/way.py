"""The way of a URL as nginx takes it: the vhost that has its name, the location that has its path.

Pure. The locations are those of a generation that was written, so what is told is what is served.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from kirsch.spec import Stack, Vhost


@dataclass(frozen=True, slots=True)
class Location:
    """A ``location`` block: its modifier ('' for a prefix), its path, the lines of directives in it."""

    modifier: str
    path: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(part for part in ("location", self.modifier, self.path) if part)

    @property
    def upstream(self) -> str | None:
        """The name in ``proxy_pass http://NAME``, or in ``uwsgi_pass``."""
        for line in self.lines:
            words = line.split()
            if words[0] in ("proxy_pass", "uwsgi_pass"):
                return words[1].rpartition("://")[2]
        return None


def choose_vhost(stack: Stack, *, host: str, port: int, tls: bool) -> tuple[Vhost, str] | None:
    """The vhost that nginx takes for a Host on a port, and why; None where it closes the connection.

    An exact name goes before ``*.shop.example``, the longer of two of these first, and a vhost without names takes the
    rest.
    """
    here = [
        vhost
        for vhost in stack.vhosts.values()
        if any(listen.port == port and listen.tls == tls for listen in vhost.listen)
    ]
    for vhost in here:
        if host in (name.lower() for name in (*vhost.names, *vhost.aliases)):
            return vhost, f"names has {host}"
    wild = [
        (name, vhost)
        for vhost in here
        for name in (*vhost.names, *vhost.aliases)
        if name.startswith("*.") and host.endswith(name[1:].lower())
    ]
    if wild:
        name, vhost = max(wild, key=lambda found: len(found[0]))
        return vhost, f"names has {name}"
    return next(((vhost, "takes every name") for vhost in here if not vhost.names), None)


def parse_locations(text: str) -> list[Location]:
    """The ``location`` blocks right below ``server`` in a vhost's file, as ``render_site`` writes it."""
    found: list[Location] = []
    head: list[str] = []
    lines: list[str] = []
    depth = 0
    for line in (raw.strip() for raw in text.splitlines()):
        if line.endswith("{"):
            depth += 1
            if depth == 2 and line.startswith("location "):
                head, lines = shlex.split(line[:-1])[1:], []
        elif line == "}":
            if depth == 2 and head:
                found.append(Location(head[0] if len(head) > 1 else "", head[-1], tuple(lines)))
                head = []
            depth -= 1
        elif head and line and not line.startswith("#"):
            lines.append(line.rstrip(";"))
    return found


def choose_location(locations: Iterable[Location], path: str) -> Location | None:
    """The one that nginx takes for *path*: exact, else the longest prefix, unless an expression matches before it."""
    locations = list(locations)
    for location in locations:
        if location.modifier == "=" and location.path == path:
            return location
    prefixes = [one for one in locations if one.modifier in ("", "^~") and path.startswith(one.path)]
    longest = max(prefixes, key=lambda location: len(location.path), default=None)
    if longest is None or longest.modifier != "^~":
        for location in locations:
            flags = {"~": 0, "~*": re.IGNORECASE}.get(location.modifier)
            if flags is not None and re.search(location.path, path, flags):
                return location
    return longest
