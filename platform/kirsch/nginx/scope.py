"""What every part of a rendering looks at: the stack, where it lies, what this nginx can do, what is there on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kirsch.nginx.handlers import Sections
from kirsch.nginx.version import Build
from kirsch.spec import HostPaths, Stack


@dataclass(frozen=True, slots=True)
class Ground:
    """What a look at the host found; rendering itself looks at nothing.

    ``kirsch.nginx.survey`` makes it. The one without arguments takes every certificate to be there.
    """

    certificates: Mapping[str, str] | None = None
    """Files of certificates and keys that are there, each with a fingerprint; None when nobody has looked."""
    stapled: frozenset[str] = frozenset()
    """Those of the certificates whose authority says on demand that they are valid still."""
    sections: Mapping[str, Sections] = field(default_factory=dict)
    """What each app's own configuration says, as far as it can be read without running it."""
    has_traffic: bool = False
    """True where a supervisor hears what nginx has answered (``HostPaths.traffic_socket``)."""
    nameservers: tuple[str, ...] = ()
    """The DNS servers of the machine, as nginx writes addresses."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One rendering's surroundings."""

    stack: Stack
    paths: HostPaths
    build: Build
    ground: Ground = field(default_factory=Ground)

    def on_host(self, file: str) -> str:
        """The absolute path of a *file* that is written relative to the deploy root."""
        return file if file.startswith("/") else f"{self.paths.root}/{file}"


def variable(kind: str, name: str) -> str:
    """The nginx variable of *kind* that belongs to the vhost or app *name*; no two names share one.

    ``variable("hsts", "my-shop") == "kirsch_hsts_my_dshop"``.
    """
    return f"kirsch_{kind}_{name.replace('_', '_u').replace('-', '_d')}"
