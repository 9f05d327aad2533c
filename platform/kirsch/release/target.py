"""Where a deploy goes: one host of an inventory, its shell and its folders, worked out once."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kirsch.errors import Problem, SpecError
from kirsch.release.shell import LocalShell, Shell
from kirsch.spec import DeployOptions, Host, HostPaths, Inventory, run_dir_for

DEFAULT_ROOT = ".kirsch/local"


@dataclass(frozen=True)
class Target:
    """One host as a deploy sees it; *inventory_file* is named in errors."""

    host: Host
    shell: Shell
    paths: HostPaths
    python: str
    inventory: Inventory
    inventory_file: str


def local_inventory() -> Inventory:
    """Return the inventory that is meant when none is named: this machine, beside the stack's file."""
    host = Host(name="local", connection="local", root=DEFAULT_ROOT)
    return Inventory(hosts={"local": host}, port_policy="next_free", deploy=DeployOptions())


def find_target(
    stack: str, inventory: Inventory, *, file: str, base: Path, environ: Mapping[str, str] = os.environ
) -> Target:
    """Return the one host that *inventory* describes, for the stack of that name.

    A relative root starts from *base*, the folder of the inventory's file, so that a deploy means the same from
    wherever it is started.

    Raises:
        SpecError: the hosts cannot be reached in a way that this version knows.
    """
    problems = [
        Problem(
            file=file,
            key=f"host.{host.name}.connection",
            given=f'"{host.connection}"',
            message=f'"{host.connection}" cannot be deployed to by this version',
            allowed='"local"',
        )
        for host in inventory.hosts.values()
        if host.connection != "local"
    ]
    if len(inventory.hosts) > 1:
        problems.append(
            Problem(
                file=file, key="host", message=f"{len(inventory.hosts)} hosts are described", allowed="one, for now"
            )
        )
    if problems:
        raise SpecError(problems)
    (host,) = inventory.hosts.values()
    root = os.path.normpath(base.resolve() / host.root)
    paths = HostPaths(root=root, run=run_dir_for(root, stack, environ, os.getuid()))
    return Target(host, LocalShell(host.name), paths, host.python or sys.executable, inventory, file)
