"""Sizes and times that stand on both sides: nginx's must leave the application the last word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kirsch.check.case import Case
from kirsch.check.finding import Finding, Place
from kirsch.nginx.upstream import KEEPALIVE_TIMEOUT_S, READ_MARGIN_S
from kirsch.spec import Bytes

SOMAXCONN = "/proc/sys/net/core/somaxconn"
LEAST_BACKLOG = 1024


def check_bodies(case: Case) -> Iterator[Finding]:
    """Bodies that an application would take and nginx does not let through; limits that do not count."""
    for setting in case.find("request.body.maxbytes", "server.max_request_body_size"):
        if not isinstance(setting.value, int) or isinstance(setting.value, bool):
            continue
        for vhost in case.vhosts_of(setting.app):
            front = case.at(f"vhost.{vhost.name}.max_body")
            if setting.value > vhost.max_body:
                yield Finding(
                    "K101",
                    "error",
                    f"nginx refuses bodies that {setting.app.name} would take",
                    front,
                    setting.place,
                    f"nginx answers 413 above {vhost.max_body}, the application takes {Bytes(setting.value)}",
                    f'max_body = "{Bytes(setting.value)}" in [vhost.{vhost.name}]',
                )
            elif setting.key == "server.max_request_body_size" and setting.value < vhost.max_body:
                yield Finding(
                    "K102",
                    "warning",
                    f"the limit that {setting.app.name} sets does not count",
                    front,
                    setting.place,
                    f"the stack sets a worker's limit by its vhosts: {vhost.max_body}, not {Bytes(setting.value)}",
                    f'max_body = "{Bytes(setting.value)}" in [vhost.{vhost.name}], or request.body.maxbytes',
                )


def check_timeouts(case: Case) -> Iterator[Finding]:
    """The order of times: a request, its drain, the wait for a worker, nginx's patience."""
    for pool in case.stack.pools.values():
        deadline = case.at(f"pool.{pool.name}.request_deadline_s")
        if pool.drain_s + pool.quarantine_s < pool.request_deadline_s:
            yield Finding(
                "K111",
                "warning",
                f"a roll of {pool.name} may cut requests that are in time",
                deadline,
                case.at(f"pool.{pool.name}.drain_s"),
                f"a request may take {pool.request_deadline_s:g} s, a worker that leaves is ended after "
                f"drain_s + quarantine_s = {pool.drain_s + pool.quarantine_s:g} s",
                f"drain_s = {pool.request_deadline_s:g}",
            )
        if pool.hold_s >= pool.request_deadline_s + READ_MARGIN_S:
            yield Finding(
                "K112",
                "error",
                f"nginx gives up before a request that {pool.name} holds is answered",
                deadline,
                case.at(f"pool.{pool.name}.hold_s"),
                f"nginx waits request_deadline_s + {READ_MARGIN_S:g} s, and then answers 504 by itself",
                f"hold_s below {pool.request_deadline_s:g}",
            )


def check_keepalive(case: Case) -> Iterator[Finding]:
    """The race for an idle connection: whoever waits shorter has to be nginx."""
    for pool in case.stack.pools.values():
        for name in ("keepalive", "http-keepalive", "so-keepalive-timeout"):
            given = pool.engine_options.get(name)
            if isinstance(given, int | float) and not isinstance(given, bool) and given <= KEEPALIVE_TIMEOUT_S + 2:
                yield Finding(
                    "K121",
                    "error",
                    f"workers of {pool.name} close connections that nginx is about to use",
                    case.at(f"pool.{pool.name} (nginx: keepalive_timeout {KEEPALIVE_TIMEOUT_S:g}s)"),
                    case.at(f"pool.{pool.name}.engine_options.{name}"),
                    "a POST that meets the close is answered 502: nginx must not send it twice",
                    f"{name} well above {KEEPALIVE_TIMEOUT_S + 2:g}, or leave it to the platform",
                )
    for setting in case.find("server.socket_timeout"):
        if setting.section == "global":
            yield _not_counted(case, setting.place, setting.app.pool, "how long connections may idle")


def check_backlog(case: Case, somaxconn: str = SOMAXCONN) -> Iterator[Finding]:
    """Queues for connections: a burst that finds one full is answered 502 at once on a Unix socket."""
    for pool in case.stack.pools.values():
        for name in ("backlog", "listen"):
            given = pool.engine_options.get(name)
            if isinstance(given, int) and not isinstance(given, bool) and given < LEAST_BACKLOG:
                yield Finding(
                    "K131",
                    "warning",
                    f"the queue of {pool.name}'s workers is short",
                    case.at(f"pool.{pool.name}"),
                    case.at(f"pool.{pool.name}.engine_options.{name}"),
                    f"nginx answers 502 when {given} connections wait",
                    f"{name} = {LEAST_BACKLOG} or more, or leave it to the platform",
                )
    try:
        allowed = int(Path(somaxconn).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return
    if allowed < LEAST_BACKLOG:
        yield Finding(
            "K132",
            "warning",
            "the kernel cuts every queue for connections",
            case.at("pool"),
            None,
            f"net.core.somaxconn is {allowed}: a larger burst is answered 502",
            f"sysctl net.core.somaxconn={4 * LEAST_BACKLOG}",
        )


def _not_counted(case: Case, place: Place, pool: str, what: str) -> Finding:
    return Finding(
        "K122",
        "note",
        f"the platform decides {what}",
        case.at(f"pool.{pool}"),
        place,
        "so that nginx is always the one that closes",
        "leave the key out",
    )
