"""Asking a worker over its own socket: one GET, no library, nothing shared with what it proves."""

from __future__ import annotations

import asyncio
import contextlib

from kirsch.link import uwsgi


async def ask(socket_path: str, path: str, timeout_s: float, protocol: str = "http") -> int | None:
    """Return the status of ``GET path`` at a Unix socket that speaks *protocol*; None when no answer came in time."""
    try:
        return await asyncio.wait_for(_ask(socket_path, path, protocol), timeout_s)
    except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None


async def _ask(socket_path: str, path: str, protocol: str) -> int:
    reader, writer = await asyncio.open_unix_connection(socket_path)
    try:
        if protocol == "uwsgi":
            writer.write(uwsgi.ask(path, {"Host": "localhost"}))
        else:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("ascii"))
        line = await reader.readuntil(b"\r\n")
        version, status, *_ = line.split(b" ", 2)
        if not version.startswith(b"HTTP/1."):
            raise ValueError(line)
        await reader.read()  # to its end: a connection that is cut under an answer would show up in the worker's log
        return int(status)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
