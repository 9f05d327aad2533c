"""Where a server listens: its ``socket_*`` and ``proxy_protocol`` settings as listeners for ``httpd``."""

from __future__ import annotations

import grp
import logging
import os
import pwd
from collections.abc import Iterable
from typing import Any

from cherrypy.app.server_settings import permissions
from cherrypy.http.forwarded import Trust
from cherrypy.httpd.listener import FIRST_INHERITED_FD, BindAddress, Listener, named_descriptors
from cherrypy.httpd.tls import TLS
from cherrypy.process.respawn import HELD_SOCKETS, held_sockets, hold_sockets

log = logging.getLogger(__name__)

# What the run before has held for this process. Read now: a daemon forks before its servers start, and has another pid.
_left_for_us = held_sockets(os.environ, os.getpid())
os.environ.pop(HELD_SOCKETS, None)  # a later run of this very process must not take these numbers for its own


def listeners_for(http: Any, tls: TLS | None, is_main: bool) -> list[Listener]:
    """The listeners of one HTTP server object.

    Args:
        http: has ``server_adapter`` with the settings, and ``bind_addr``, ``socket_mode``, ``nodelay``, which
            applications may have changed.
        tls: for all of them.
        is_main: it is the site's own server, which takes what a service manager has bound for nobody else.

    Raises:
        ValueError: a user, a group or a descriptor's name that does not exist; the key is named.
    """
    adapter = http.server_adapter
    trusted = getattr(adapter, "proxy_protocol", None)
    common: dict[str, Any] = {
        "tls": tls,
        "mode": None if http.socket_mode is None else permissions(http.socket_mode),
        "owner": owner_of(adapter),
        "nodelay": http.nodelay,
        "reuse_port": bool(getattr(adapter, "reuse_port", False)),
        "proxy_protocol": bool(trusted),
        "proxy_from": Trust(trusted or ()),
        "proxy_others": getattr(adapter, "proxy_protocol_others", "refuse"),
    }
    listeners = [Listener(address, **common) for address in _addresses(http, is_main)]
    for listener in listeners:
        listener.held = take_held(listener.address)
    return listeners


def hold(listeners: Iterable[Listener]) -> None:
    """Keep listening sockets open over a restart in place: who connects meanwhile waits, and is not refused."""
    sockets = {}
    for listener in listeners:
        if not isinstance(listener.address, int):  # the service manager's stay open by themselves
            descriptor = listener.hold()
            if descriptor is not None:
                os.set_inheritable(descriptor, True)
                sockets[_held_name(listener.address)] = descriptor
    if sockets:
        hold_sockets(os.environ, os.getpid(), sockets)


def is_held(address: BindAddress) -> bool:
    """True if the run of this program before has left its socket at *address* for us."""
    return _held_name(address) in _left_for_us


def take_held(address: BindAddress) -> int | None:
    """The descriptor that was left for us at *address*; whoever takes it has to close it."""
    return _left_for_us.pop(_held_name(address), None)


def close_held() -> None:
    """Close what no server has taken: nobody would answer who connects there."""
    while _left_for_us:
        address, descriptor = _left_for_us.popitem()
        log.info("no server listens any more address=%s", address)
        os.close(descriptor)


def _held_name(address: BindAddress) -> str:
    return f"{address[0] or ''}:{address[1]}" if isinstance(address, tuple) else str(address)


def _addresses(http: Any, is_main: bool) -> list[BindAddress]:
    """Where to listen: at what a service manager has bound for us, else at ``bind_addr``."""
    adapter = http.server_adapter
    inherited: Iterable[int]
    if getattr(adapter, "socket_fd", None) is not None:
        inherited = descriptors_for(adapter, os.environ)
    else:
        inherited = _left_over(adapter) if is_main else ()
    addresses: list[BindAddress] = list(inherited)
    if addresses:
        return addresses
    if isinstance(http.bind_addr, tuple):
        host, port = http.bind_addr
        return [(host or "", port)]
    return [http.bind_addr]


def descriptors_for(adapter: Any, environ: Any) -> list[int]:
    """The descriptors that the ``socket_fd`` of *adapter* stands for.

    Raises:
        ValueError: a name that the service manager has given to none.
    """
    given = adapter.socket_fd
    wanted = given if isinstance(given, list | tuple) else [given]
    named = named_descriptors(environ, os.getpid())
    found: list[int] = []
    for one in wanted:
        descriptors = [one] if isinstance(one, int) else [descriptor for descriptor, name in named if name == one]
        if not descriptors and str(one).isdecimal():
            descriptors = [int(one)]
        if not descriptors:
            names = ", ".join(repr(name) for _, name in named) or "none: LISTEN_FDS is not set for this process"
            raise ValueError(
                f"{adapter._namespace}.socket_fd is {one!r}, and no descriptor of that name was passed. "
                f"Names in LISTEN_FDNAMES: {names}."
            )
        found += [descriptor for descriptor in descriptors if descriptor not in found]
    return found


def _left_over(adapter: Any) -> list[int]:
    """What was passed to this process and is asked for by no other server on the bus."""
    named = named_descriptors(os.environ, os.getpid())
    # COMPAT: CherryPy reads LISTEN_PID alone, and takes the first descriptor.
    if not named and "LISTEN_FDS" not in os.environ and os.environ.get("LISTEN_PID"):
        return [FIRST_INHERITED_FD]
    if not named:
        return []
    owners = {getattr(listener, "__self__", None) for listener in adapter.bus.listeners.get("start", ())}
    claimed: set[int] = set()
    for other in owners - {adapter, None}:
        if getattr(other, "socket_fd", None) is not None:
            claimed.update(descriptors_for(other, os.environ))
    return [descriptor for descriptor, _ in named if descriptor not in claimed]


def owner_of(adapter: Any) -> tuple[int, int] | None:
    """The (user id, group id) that the file of a Unix socket is to have, -1 for as it is; None if both are.

    Raises:
        ValueError: there is no such user or group.
    """
    user, group = getattr(adapter, "socket_user", None), getattr(adapter, "socket_group", None)
    if user is None and group is None:
        return None
    return (
        _id(adapter, "socket_user", user, lambda name: pwd.getpwnam(name).pw_uid),
        _id(adapter, "socket_group", group, lambda name: grp.getgrnam(name).gr_gid),
    )


def _id(adapter: Any, key: str, given: Any, look_up: Any) -> int:
    if given is None:
        return -1
    if isinstance(given, int) or given.isdecimal():
        return int(given)
    try:
        return int(look_up(given))
    except KeyError:
        kind = key.removeprefix("socket_")
        raise ValueError(
            f"{adapter._namespace}.{key} is {given!r}, and this system has no such {kind}. Allowed: the name or the "
            f"number of a {kind}, or None."
        ) from None
