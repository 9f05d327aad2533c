"""Listening sockets: TCP, Unix paths, abstract names, and descriptors that a parent has opened."""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from cherrypy.http.forwarded import Trust
    from cherrypy.httpd.tls import TLS

#: (host, port), the path of a Unix socket, ``@name`` for an abstract one, or the descriptor of a listening socket.
BindAddress: TypeAlias = "tuple[str, int] | str | int"

#: First descriptor that systemd and its imitators pass (sd_listen_fds).
FIRST_INHERITED_FD = 3
# struct tcp_info (tcp(7)): eight octets, then numbers; of a listening socket tcpi_unacked is the length of its queue.
_TCP_INFO_BYTES = 104
_UNACKED = struct.Struct("I")
_UNACKED_AT = 8 + 4 * 4
#: What systemd calls a descriptor that has no name.
UNNAMED = "unknown"


@dataclass
class Listener:
    """One listening socket.

    Args:
        address: what to listen on.
        tls: makes TLS connections of what is accepted; None for plain ones.
        mode: permissions of a Unix socket's file; None leaves them to the umask.
        owner: (user id, group id) of that file; -1 leaves one as it is.
        nodelay: switch Nagle's algorithm off (TCP).
        reuse_port: other sockets may listen on the same TCP port, if all of them ask for it and have the same user;
            the kernel spreads the connections over them (Linux, SO_REUSEPORT).
        proxy_protocol: connections must start with a PROXY header, which names the client, or are closed.
        proxy_from: whose connections those are; None for everybody's.
        proxy_others: what connections of anybody else are: "refuse" closes them, "plain" takes them as clients of
            their own, who may send no PROXY header.
        held: a descriptor that listens at *address* already (see ``hold``); it is taken over.
    """

    address: BindAddress
    tls: TLS | None = None
    mode: int | None = None
    owner: tuple[int, int] | None = None
    nodelay: bool = True
    reuse_port: bool = False
    proxy_protocol: bool = False
    proxy_from: Trust | None = None
    proxy_others: Literal["refuse", "plain"] = "refuse"
    held: int | None = None
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
        return name_of(self.sock)

    def count_waiting(self) -> int:
        """How many connections wait to be accepted, if somebody does: exactly for TCP, 1 for Unix sockets."""
        if self.sock is None or self.sock.family == socket.AF_UNIX:
            return int(self.sock is not None)
        info = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        return int(_UNACKED.unpack_from(info, _UNACKED_AT)[0])

    def greeting_of(self, peer: str) -> Literal["header", "plain", "refuse"]:
        """What a connection from *peer* (an address, "" on a Unix socket) has to begin with, or that it is not wanted.

        SECURITY: whoever sends a PROXY header says who the client is; so that is decided by the real peer.
        """
        if not self.proxy_protocol:
            return "plain"
        if self.proxy_from is None or peer in self.proxy_from:
            return "header"
        return self.proxy_others

    def open(self, backlog: int) -> None:
        """Bind and listen.

        Raises:
            OSError: the address is in use, not ours, or not allowed; the message names it.
        """
        if self.held is not None:
            sock = _adopt(self.held)
            os.close(self.held)
            self.held = None
            if isinstance(self.address, str) and not self.address.startswith("@"):
                self._own(self.address)
        elif isinstance(self.address, int):
            sock = _adopt(self.address)
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

    def _own(self, path: str) -> None:
        """Note which file is ours."""
        found = os.lstat(path)
        self._inode = (found.st_dev, found.st_ino)

    def hold(self) -> int | None:
        """A further descriptor of the listening socket, for this program's fresh run; None when closed.

        Connections queue up in the kernel until somebody accepts them there. After ``close`` a Unix socket's file
        stays where it is.
        """
        if self.sock is None:
            return None
        self._inode = None
        return os.dup(self.sock.fileno())

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
                if self.reuse_port:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
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
            # SECURITY: nobody gets in between bind, chown and chmod.
            mask = os.umask(0o777) if self.mode is not None or self.owner is not None else None
            try:
                sock.bind(path)
            finally:
                if mask is not None:
                    os.umask(mask)
            try:
                if self.owner is not None:
                    os.chown(path, *self.owner, follow_symlinks=False)
                if mask is not None:
                    os.chmod(path, self.mode if self.mode is not None else 0o777 & ~mask)
            except OSError:
                os.unlink(path)
                raise
            self._own(path)
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


def name_of(sock: socket.socket) -> tuple[str, int] | str:
    """Where a socket is bound: (host, port), a path, or ``@name``."""
    name = sock.getsockname()
    if isinstance(name, tuple):
        return name[:2]
    return "@" + name[1:].decode("utf-8", "surrogateescape") if isinstance(name, bytes) else str(name)


def _adopt(descriptor: int) -> socket.socket:
    """A socket object of our own for the listening socket that *descriptor* is.

    Raises:
        OSError: it is closed, or something else.
    """
    try:
        sock = socket.socket(fileno=os.dup(descriptor))
    except OSError as error:
        raise OSError(error.errno, f"descriptor {descriptor} is no socket: {error.strerror}") from error
    kinds = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
    if sock.type != socket.SOCK_STREAM or sock.family not in kinds:
        sock.close()
        raise OSError(errno.EINVAL, f"descriptor {descriptor} is no TCP or Unix stream socket")
    try:
        sock.getpeername()
    except OSError:
        return sock
    sock.close()
    raise OSError(errno.EISCONN, f"descriptor {descriptor} is a connection, not a listening socket")


def inherited_descriptors(environ: Mapping[str, str], pid: int) -> list[int]:
    """Descriptors that a parent passed by the ``LISTEN_FDS`` protocol, if they are meant for process *pid*.

    Source: sd_listen_fds(3).
    """
    return [descriptor for descriptor, _ in named_descriptors(environ, pid)]


def named_descriptors(environ: Mapping[str, str], pid: int) -> list[tuple[int, str]]:
    """The same with their names out of ``LISTEN_FDNAMES`` ("unknown" without one); several may have the same.

    ``{"LISTEN_FDS": "2", "LISTEN_FDNAMES": "web:admin"}`` gives ``[(3, "web"), (4, "admin")]``.

    Source: sd_listen_fds_with_names(3).
    """
    if environ.get("LISTEN_PID", str(pid)) != str(pid):
        return []
    count = environ.get("LISTEN_FDS", "")
    if not (count.isascii() and count.isdecimal()):
        return []
    descriptors = range(FIRST_INHERITED_FD, FIRST_INHERITED_FD + int(count))
    names = environ["LISTEN_FDNAMES"].split(":") if environ.get("LISTEN_FDNAMES") else []
    if len(names) != len(descriptors):
        names = [UNNAMED] * len(descriptors)
    return list(zip(descriptors, names, strict=True))
