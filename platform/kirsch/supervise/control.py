"""The supervisor's ear: verbs as JSON lines over a Unix socket that only its own user and root may speak into."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from kirsch.errors import ControlError, KirschError, NginxError, SuperviseError
from kirsch.link.frame import FrameReader, encode_frame
from kirsch.supervise.events import Events

log = logging.getLogger(__name__)

Verb = Callable[[Mapping[str, Any]], Awaitable[Any]]


class ControlServer:
    """Answers verbs.

    Args:
        path: the socket.
        verbs: by name; each takes the arguments and returns the result, or raises a ``KirschError``.
        events: passed on to the asker while its verb is under way.
        quiet: verbs whose askers want no events (they only look).
        steadfast: verbs that go on when their asker hangs up; all others are called off then, and clean up.
    """

    def __init__(
        self,
        path: str,
        verbs: Mapping[str, Verb],
        events: Events,
        quiet: frozenset[str] = frozenset(),
        steadfast: frozenset[str] = frozenset(),
    ) -> None:
        self.path = path
        self.verbs = verbs
        self.events = events
        self.quiet = quiet
        self.steadfast = steadfast
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()

    async def start(self, listening: socket.socket | None = None) -> None:
        """Listen, on *listening* if that does so already.

        The caller holds the supervisor's lock, so that a socket left here is a dead one's.
        """
        if listening is None:
            listening = self._bind()
        self._server = await asyncio.start_server(self._serve, sock=listening)

    def _bind(self) -> socket.socket:
        Path(self.path).unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        # SECURITY: the mode is right from the first moment, not after a chmod
        mask = os.umask(0o177)
        try:
            listening.bind(self.path)
        finally:
            os.umask(mask)
        return listening

    async def hand_over(self) -> int:
        """Accept no more, let answers that are due go out, and return a descriptor on which the others queue."""
        assert self._server is not None
        kept = os.dup(self._server.sockets[0].fileno())
        await self._close()
        return kept

    async def stop(self) -> None:
        """Listen no longer, and let answers that are due go out."""
        if self._server is not None:
            Path(self.path).unlink(missing_ok=True)
            await self._close()

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        mine = asyncio.current_task()
        others = [line for line in self._lines if line is not mine]
        if others:
            await asyncio.wait(others, timeout=1.0)
        for line in others:
            line.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        try:
            _refuse_strangers(writer)
            frames = FrameReader()
            while data := await reader.read(65536):
                for frame in frames.feed(data):
                    await self._answer(frame, reader, writer)
        except ControlError as error:
            writer.write(encode_frame(_error(error)))
        except (ConnectionError, TimeoutError) as error:
            log.debug("a control connection broke: %s", error)
        finally:
            self._lines.discard(task)
            writer.close()

    async def _answer(
        self, frame: Mapping[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        name, args = frame.get("verb"), frame.get("args") or {}
        verb = self.verbs.get(name) if isinstance(name, str) else None
        if verb is None or not isinstance(args, dict):
            known = ", ".join(sorted(self.verbs))
            raise ControlError(f"unknown verb {name!r}; allowed: {known}", kind="unknown_verb")
        hush = None
        if name not in self.quiet:
            hush = self.events.listen(lambda event: writer.write(encode_frame({"event": event})))
        try:
            message: dict[str, Any] = {"result": await self._act(str(name), verb(args), reader)}
        except KirschError as error:
            message = _error(error)
        except ConnectionError:
            raise
        except Exception as error:  # the wall of the control server: a bug in a verb must not end the supervisor
            log.exception("verb=%s failed", name)
            message = _error(ControlError(f"{type(error).__name__}: {error}", kind="bug"))
        finally:
            if hush is not None:
                hush()
        writer.write(encode_frame(message))
        await writer.drain()

    async def _act(self, name: str, work: Awaitable[Any], reader: asyncio.StreamReader) -> Any:
        """Wait for a verb; one that is not steadfast ends with its asker.

        Raises:
            ConnectionError: the asker has hung up.
        """
        task = asyncio.ensure_future(work)
        if name in self.steadfast or name in self.quiet:
            return await task
        gone = asyncio.ensure_future(_wait_for_end(reader))
        try:
            await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return await task
            log.warning("verb=%s called off: its asker has hung up", name)
        finally:
            gone.cancel()
            await asyncio.wait([gone])  # until it has let go of the reader
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
        raise ConnectionResetError(f"the asker of {name} has hung up")


async def _wait_for_end(reader: asyncio.StreamReader) -> None:
    """Return when the other side has closed; who asks waits for the answer and sends nothing meanwhile."""
    while await reader.read(4096):
        continue


def _refuse_strangers(writer: asyncio.StreamWriter) -> None:
    """Check who speaks: the mode of the socket keeps others out already, unless somebody changed it."""
    peer = writer.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    if uid not in {0, os.getuid()}:
        raise ControlError(f"user {uid} may not speak to this supervisor", kind="forbidden")


def _error(error: KirschError) -> dict[str, Any]:
    report: dict[str, Any] = {}
    if isinstance(error, ControlError | SuperviseError):
        report = dict(error.report)
    elif isinstance(error, NginxError):
        report = {"step": "nginx", "output": "\n".join(error.lines), "message": error.message}
    kind = error.kind if isinstance(error, ControlError) else "roll_failed"
    return {"error": {"kind": kind, "message": str(error), "report": report}}
