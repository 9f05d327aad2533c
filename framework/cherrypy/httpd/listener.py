"""Listening sockets: TCP, Unix paths, abstract names, and descriptors that a parent has opened."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from cherrypy.httpd.tls import TLS

#: (host, port), the path of a Unix socket, ``@name`` for an abstract one, or the descriptor of a listening socket.
BindAddress: TypeAlias = "tuple[str, int] | str | int"

#: First descriptor that systemd and its imitators pass (sd_listen_fds).
FIRST_INHERITED_FD = 3


@dataclass
class Listener:
    """One listening socket.

    Args:
        address: what to listen on.
        tls: makes TLS connections of what is accepted; None for plain ones.
        mode: permissions of a Unix socket's file; None leaves them to the umask.
        nodelay: switch Nagle's algorithm off (TCP).
        proxy_protocol: every connection must start with a PROXY header, which names the client; others are closed.
    """

    address: BindAddress
    tls: TLS | None = None
    mode: int | None = None
    nodelay: bool = True
    proxy_protocol: bool = False
    sock: socket.socket | None = None
    _inode: tuple[int, int] | None = None

    @property
    def scheme(self) -> str:
        """``"http"`` or ``"https"``."""
        return "https" if self.tls else "http"

    @property
    def bound(self) -> BindAddress:
        """Where it really listens; tells the port when 0 was asked for."""
        if self.sock is None or isinstance(self.address, str):
            return self.address
        name = self.sock.getsockname()
        return name[:2] if isinstance(name, tuple) else str(name)

    def open(self, backlog: int) -> None:
        """Bind and listen.

        Raises:
            OSError: the address is in use, not ours, or not allowed; the message names it.
        """
        if isinstance(self.address, int):
            sock = socket.socket(fileno=os.dup(self.address))
        elif isinstance(self.address, str):
            sock = self._bind_unix(self.address)
        else:
            sock = self._bind_tcp(*self.address)
        try:
            if sock.family != socket.AF_UNIX and self.nodelay:
                # Linux: accepted sockets inherit it.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            sock.listen(backlog)
        except OSError:
            sock.close()
            raise
        self.sock = sock

    def close(self) -> None:
        """Stop listening; a Unix socket's file goes only if it is still ours."""
        if self.sock is None:
            return
        self.sock.close()
        self.sock = None
        if self._inode is not None and isinstance(self.address, str):
            with suppress(OSError):
                found = os.lstat(self.address)
                if (found.st_dev, found.st_ino) == self._inode:
                    os.unlink(self.address)
            self._inode = None

    def _bind_tcp(self, host: str, port: int) -> socket.socket:
        wanted = socket.getaddrinfo(host or None, port, 0, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
        failed: OSError | None = None
        for family, kind, protocol, _, address in wanted:
            sock = socket.socket(family, kind, protocol)
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6 and host in ("::", "::0"):
                    with suppress(OSError):
                        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                sock.bind(address)
            except OSError as error:
                sock.close()
                failed = OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}")
            else:
                return sock
        raise failed or OSError(errno.EADDRNOTAVAIL, f"cannot listen on {host}:{port}: no such address")

    def _bind_unix(self, path: str) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if path.startswith("@"):
                sock.bind(b"\0" + path[1:].encode("utf-8", "surrogateescape"))
                return sock
            remove_stale_socket(path)
            # SECURITY: with a mode asked for, nobody gets in between bind and chmod.
            mask = os.umask(0o777 & ~self.mode) if self.mode is not None else None
            try:
                sock.bind(path)
            finally:
                if mask is not None:
                    os.umask(mask)
            if self.mode is not None:
                os.chmod(path, self.mode)
            found = os.lstat(path)
            self._inode = (found.st_dev, found.st_ino)
        except OSError as error:
            sock.close()
            raise OSError(error.errno, f"cannot listen on {path}: {error.strerror or error}") from error
        return sock


def remove_stale_socket(path: str) -> None:
    """Remove the socket file that a dead process left at *path*.

    Raises:
        OSError: EADDRINUSE when somebody listens there, or when the file is no socket.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(errno.EADDRINUSE, "there is a file that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            with suppress(FileNotFoundError):
                os.unlink(path)
            return
    raise OSError(errno.EADDRINUSE, "somebody listens there already")


def inherited_descriptors(environ: Mapping[str, str], pid: int) -> list[int]:
    """Descriptors that a parent passed by the ``LISTEN_FDS`` protocol, if they are meant for process *pid*.

    Source: sd_listen_fds(3).
    """
    if environ.get("LISTEN_PID", str(pid)) != str(pid):
        return []
    count = environ.get("LISTEN_FDS", "")
    if not (count.isascii() and count.isdecimal()):
        return []
    return list(range(FIRST_INHERITED_FD, FIRST_INHERITED_FD + int(count)))
