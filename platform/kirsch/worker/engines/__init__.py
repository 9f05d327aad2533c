"""Servers that can run inside a worker, by the name that a pool says in ``engine``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from kirsch.link.order import Order
from kirsch.worker.engines.native import NativeEngine
from kirsch.worker.voice import Voice


class Engine(Protocol):
    """A server inside a worker. It is made before the applications are imported, and started after."""

    def __init__(self, order: Order, voice: Voice) -> None: ...

    def prepare(self) -> None:
        """Do what has to be done before the applications are imported."""

    def start(self, path: str) -> None:
        """Serve what is mounted on a Unix socket; return once connections are accepted."""

    def is_well(self) -> bool:
        """True as long as it serves."""

    def shed(self) -> None:
        """Make the next answer of every connection that is open now its last."""

    def drain(self, deadline_s: float) -> bool:
        """Make every answer the last of its connection; True once no connection is left, within *deadline_s*."""

    def stop(self) -> None:
        """Stop serving and close everything."""


ENGINES: Mapping[str, type[Engine]] = {"native": NativeEngine}
