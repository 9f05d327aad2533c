"""The other end of the control socket: what the command line speaks to a supervisor with."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

from kirsch.errors import ControlError
from kirsch.link.frame import FrameReader, encode_frame

CONNECT_TIMEOUT_S = 5.0


class ControlClient:
    """Asks the supervisor behind a control socket; one connection a question.

    Args:
        path: ``HostPaths.control_socket``.
        timeout_s: how long the supervisor may be silent; None waits for ever (a roll is as slow as its slowest boot).
    """

    def __init__(self, path: str, *, timeout_s: float | None = None) -> None:
        self.path = path
        self.timeout_s = timeout_s

    def call(self, verb: str, **args: Any) -> Any:
        """Ask and return the result; events on the way are dropped.

        Raises:
            ControlError: what the supervisor answered, or ``unreachable`` when nobody listens or the line broke.
        """
        result = None
        for message in self._exchange(verb, args):
            if "result" in message:
                result = message["result"]
        return result

    def stream(self, verb: str, **args: Any) -> Iterator[dict[str, Any]]:
        """Ask and yield each ``{"event": …}`` as it comes, and last ``{"result": …}``.

        Raises:
            ControlError: as ``call`` does.
        """
        yield from self._exchange(verb, args)

    def is_reachable(self) -> bool:
        """True when a supervisor answers."""
        try:
            self.call("ping")
        except ControlError:
            return False
        return True

    def _exchange(self, verb: str, args: dict[str, Any]) -> Iterator[dict[str, Any]]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as line:
            try:
                line.settimeout(CONNECT_TIMEOUT_S)
                line.connect(self.path)
                line.settimeout(self.timeout_s)
                line.sendall(encode_frame({"verb": verb, "args": args}))
            except OSError as error:
                raise ControlError(f"no supervisor answers at {self.path}: {error}", kind="unreachable") from error
            for message in self._read(line):
                if "error" in message:
                    failure = message["error"]
                    raise ControlError(failure["message"], kind=failure["kind"], report=failure.get("report"))
                yield message
                if "result" in message:
                    return

    def _read(self, line: socket.socket) -> Iterator[dict[str, Any]]:
        reader = FrameReader()
        while True:
            try:
                data = line.recv(65536)
            except OSError as error:
                raise ControlError(f"the supervisor at {self.path} fell silent: {error}", kind="unreachable") from error
            if not data:
                raise ControlError(f"the supervisor at {self.path} went away", kind="unreachable")
            yield from reader.feed(data)
