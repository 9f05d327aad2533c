"""The states of a bus."""

from __future__ import annotations


class _StateEnum:
    """The states of a bus, as attributes."""

    class State:
        """One state; compared by identity."""

        name = ""

        def __init__(self, name: str) -> None:
            self.name = name

        def __repr__(self) -> str:
            return f"states.{self.name}"

    STOPPED = State("STOPPED")
    STARTING = State("STARTING")
    STARTED = State("STARTED")
    STOPPING = State("STOPPING")
    EXITING = State("EXITING")


State = _StateEnum.State
states = _StateEnum()
