"""`kirsch status` and `kirsch history` over several hosts: a line a host, also for those that cannot be reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click
import msgspec
from rich.text import Text

from kirsch.cli.hosts import HostsJson
from kirsch.cli.place import Place
from kirsch.cli.screen import open_console, show_table
from kirsch.errors import DeployError
from kirsch.release.history import Line
from kirsch.release.hosts.cluster import describe_parts
from kirsch.release.hosts.reach import Reach
from kirsch.release.status import Status
from kirsch.spec import Host

HEADS = ("host", "address", "release", "workers", "supervisor", "what is wrong")
Words = Callable[[Reach, Host], Mapping[str, Any]]


def show_hosts_status(place: Place, *, as_json: bool) -> None:
    """Print how every host does; leave with exit status 1 if one is not well, or serves something else than others."""
    answers = ask_hosts(place, "status", lambda reach, host: {"stack": place.stack.name, **reach.words_for(host)})
    found = {name: _status(answer) for name, answer in answers.items()}
    is_mixed = len({status.release for status in found.values() if isinstance(status, Status)}) > 1
    wrong = {
        name: what_is_wrong(status) or ("not every host serves the same release" if is_mixed else "")
        for name, status in found.items()
    }
    if as_json:
        report = {
            name: {"status": status if isinstance(status, Status) else None, "problem": wrong[name] or None}
            for name, status in found.items()
        }
        click.echo(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        rows = [_row(place.inventory.hosts[name], status, wrong[name]) for name, status in found.items()]
        show_table(open_console(), place.stack.name, HEADS, rows)
    if any(wrong.values()):
        raise click.exceptions.Exit(1)


def hosts_history(place: Place) -> dict[str, list[Line]]:
    """Return the history of every host, oldest line first.

    Raises:
        DeployError: a host cannot be reached.
    """
    found = {}
    for name, answer in ask_hosts(place, "history", lambda reach, host: {"root": host.root}).items():
        if isinstance(answer, BaseException):
            raise answer
        found[name] = msgspec.convert(answer, list[Line])
    return found


def ask_hosts(place: Place, verb: str, words: Words) -> dict[str, Any]:
    """Ask the agent of every host; return the answers, or the error that came instead of one."""
    with Reach(place.inventory, place.inventory_file, HostsJson(is_silent=True)) as reach:
        troubles = {trouble.host: trouble.what for trouble in reach.look(place.stack)}
        found: dict[str, Any] = {
            name: DeployError(troubles[name], host=name) for name in reach.hosts if name not in reach.facts
        }
        if reach.facts:
            kit = describe_parts(place.stack, reach)
            reach.bring(kit, (kit.agent,))
            reach.start_agents(kit)
            there = list(reach.facts)
            found |= reach.gather(lambda host: reach.remotes[host.name].call(verb, **words(reach, host)), there)
    return {name: found[name] for name in place.inventory.hosts}


def what_is_wrong(status: Status | BaseException | None) -> str:
    """Say why a host is not well; empty if it is."""
    if status is None:
        return "does not run"
    return "; ".join(status.degraded) if isinstance(status, Status) else str(status)


def _status(answer: Any) -> Status | BaseException | None:
    if answer is None or isinstance(answer, BaseException):
        return answer
    return msgspec.convert(answer, Status, strict=False)


def _row(host: Host, status: Status | BaseException | None, wrong: str) -> tuple[object, ...]:
    if not isinstance(status, Status):
        return (host.name, host.address, "-", "-", "-", Text(wrong, style="red"))
    ready = sum(worker.state == "ready" for worker in status.workers)
    workers = f"{ready} of {len(status.workers)} ready"
    return (host.name, host.address, status.release or "-", workers, f"pid {status.pid}", Text(wrong, style="yellow"))
