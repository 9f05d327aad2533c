"""Reading kirsch.toml and inventories: every problem of a file at once, and nothing half read."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from kirsch.errors import Problem, SpecError
from kirsch.spec.app import App
from kirsch.spec.bus import Bus
from kirsch.spec.crosscheck import check_inventory, check_stack, check_vhosts, parse_listens
from kirsch.spec.guard import Maintenance, Rate
from kirsch.spec.host import DeployOptions, Host, Inventory
from kirsch.spec.name import Name
from kirsch.spec.pool import Pool, Workers
from kirsch.spec.probe import Health, Probe
from kirsch.spec.route import Cache
from kirsch.spec.shape import Parser, Shaper, join, show
from kirsch.spec.stack import Stack
from kirsch.spec.tls import Hsts
from kirsch.spec.upstream import Member, Sticky, Upstream
from kirsch.spec.vhost import Listen, Vhost

STACK_SECTIONS = ("stack", "app", "pool", "vhost", "upstream", "health", "bus")
SHORT_FORMS: dict[type, Parser] = {
    Listen: Listen.parse,
    Hsts: Hsts.parse,
    Maintenance: Maintenance.parse,
    Rate: Rate.parse,
    Cache: Cache.parse,
    Member: Member.parse,
    Sticky: Sticky.parse,
}
"""What may stand for a table: ``hsts = true``."""
INVENTORY_SECTIONS = ("host", "deploy", "listen", "port_policy", "admin")

Named = TypeVar("Named", App, Pool, Vhost, Upstream, Host)


def load_stack(path: str | os.PathLike[str]) -> Stack:
    """The stack that the file *path* describes, complete: defaults filled in, references checked.

    Raises:
        SpecError: with every problem of the file.
    """
    file = os.fspath(path)
    data = _read(file)
    shaper = Shaper(file, {**SHORT_FORMS, Workers: lambda value: Workers.parse(value, _cores())})
    _refuse_unknown(shaper, data, STACK_SECTIONS)
    apps = _named(shaper, data, "app", App)
    pools = _named(shaper, data, "pool", Pool) if "pool" in data else {"web": Pool(name="web")}
    vhosts = _named(shaper, data, "vhost", Vhost) if "vhost" in data else {"main": Vhost(name="main")}
    upstreams = _named(shaper, data, "upstream", Upstream)
    health = shaper.build(Health, _with_probe_defaults(data.get("health", {})), "health")
    bus = shaper.build(Bus, data.get("bus", {}), "bus")
    if not data.get("app"):
        shaper.report("app", message="no application is described", allowed="at least one table [app.NAME]")
    whole = all(value is not None for section in (apps, pools, vhosts, upstreams) for value in section.values())
    sections: dict[str, Any] = {
        "apps": {name: app for name, app in apps.items() if app},
        "pools": {name: pool for name, pool in pools.items() if pool},
        "vhosts": {name: _with_apps(vhost, apps) for name, vhost in vhosts.items() if vhost},
        "upstreams": {name: upstream for name, upstream in upstreams.items() if upstream},
        "health": health or Health(),
        "bus": bus or Bus(),
        "directory": str(Path(file).resolve().parent),
    }
    # names of sections that are wrong themselves still count as known: one mistake, one problem
    stack = shaper.build(Stack, data.get("stack", {}), "stack", **sections) or Stack(name="wrong", **sections)
    check_stack(shaper, stack, apps=list(apps), pools=list(pools), upstreams=list(upstreams), whole=whole)
    if shaper.problems:
        raise SpecError(shaper.problems)
    return stack


def load_inventory(path: str | os.PathLike[str]) -> Inventory:
    """The hosts and deploy options that the file *path* describes.

    Raises:
        SpecError: with every problem of the file.
    """
    file = os.fspath(path)
    data = _read(file)
    shaper = Shaper(file, {Listen: Listen.parse})
    _refuse_unknown(shaper, data, INVENTORY_SECTIONS)
    hosts = _named(shaper, data, "host", Host)
    deploy = shaper.build(DeployOptions, data.get("deploy", {}), "deploy")
    if not data.get("host"):
        shaper.report("host", message="no host is described", allowed="at least one table [host.NAME]")
    rest = {name: data[name] for name in ("listen", "port_policy", "admin") if name in data}
    inventory = shaper.build(
        Inventory, rest, "", hosts={name: host for name, host in hosts.items() if host}, deploy=deploy
    )
    if inventory is not None:
        check_inventory(shaper, inventory)
    if inventory is None or shaper.problems:
        raise SpecError(shaper.problems)
    return inventory


def place_stack(stack: Stack, inventory: Inventory, file: str = "") -> Stack:
    """*stack* with the addresses that *inventory* (read from *file*) gives to its vhosts.

    Raises:
        SpecError: the inventory names a vhost that the stack does not have, or two vhosts meet on one address.
    """
    shaper = Shaper(file)
    for name in inventory.listen:
        if name not in stack.vhosts:
            shaper.unknown(join("listen", name), name, list(stack.vhosts))
    placed = stack.with_listen({name: parse_listens(text) for name, text in inventory.listen.items()})
    check_vhosts(shaper, placed)
    if shaper.problems:
        raise SpecError(shaper.problems)
    return placed


def _read(file: str) -> dict[str, object]:
    try:
        return tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        problem = f"cannot be read: {(error.strerror or str(error)).lower()}"
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 (octet {error.start})"
    except tomllib.TOMLDecodeError as error:
        problem = f"is not TOML: {error}"
    raise SpecError([Problem(file=file, key="", message=problem, allowed="a readable file in TOML")])


def _refuse_unknown(shaper: Shaper, data: dict[str, object], sections: tuple[str, ...]) -> None:
    for name in data:
        if name not in sections:
            shaper.unknown(join("", name), name, list(sections))


def _named(shaper: Shaper, data: dict[str, object], section: str, kind: type[Named]) -> dict[str, Named | None]:
    """The tables ``[section.NAME]``; a name maps to None when its table is wrong."""
    tables = data.get(section, {})
    if not isinstance(tables, dict):
        shaper.report(section, given=show(tables), allowed=f"tables [{section}.NAME]")
        return {}
    found: dict[str, Named | None] = {}
    for name, table in tables.items():
        key = join(section, name)
        found[name] = None
        if not isinstance(table, dict):
            shaper.report(key, given=show(table), allowed=f"a table: [{section}.NAME] and its keys below")
        elif shaper.value(Name, name, key) is not None:
            found[name] = shaper.build(kind, table, key, name=name)
    return found


def _with_probe_defaults(table: object) -> object:
    """``[health] ready = { interval_s = 5 }`` keeps the other defaults of that probe."""
    if not isinstance(table, dict):
        return table
    defaults: dict[str, Probe] = {"ready": Health().ready, "live": Health().live}
    filled = dict(table)
    for name, probe in defaults.items():
        if isinstance(table.get(name), dict):
            filled[name] = {**msgspec.structs.asdict(probe), **table[name]}
    return filled


def _with_apps(vhost: Vhost, apps: dict[str, App | None]) -> Vhost:
    """Give a vhost that names none, and no hosts, all apps but those that stand behind another one."""
    behind = {other.app for app in apps.values() if app for other in (app.canary, app.mirror) if other}
    shown = tuple(name for name in apps if name not in behind)
    return vhost if vhost.apps or vhost.upstream else msgspec.structs.replace(vhost, apps=shown)


def _cores() -> int:
    return len(os.sched_getaffinity(0))
