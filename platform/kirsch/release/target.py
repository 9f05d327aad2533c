"""Where a deploy goes: one host of an inventory, its shell and its folders, worked out once."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kirsch.errors import Problem, SpecError
from kirsch.release.shell import LocalShell, Shell
from kirsch.spec import DeployOptions, Host, HostPaths, Inventory, run_dir_for, run_name

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
            message="this verb speaks to the machine that it is typed on; deploy, rollback and status go over SSH",
            allowed='"local"',
        )
        for host in inventory.hosts.values()
        if host.connection != "local"
    ]
    if len(inventory.hosts) > 1:
        problems.append(
            Problem(
                file=file,
                key="host",
                message=f"{len(inventory.hosts)} hosts are described",
                allowed="one where it is local",
            )
        )
    if problems:
        raise SpecError(problems)
    (host,) = inventory.hosts.values()
    root = os.path.normpath(base.resolve() / host.root)
    shell = LocalShell(host.name)
    run = _known_run_dir(shell, root, stack) or run_dir_for(root, stack, environ, os.getuid())
    return Target(host, shell, HostPaths(root=root, run=run), host.python or sys.executable, inventory, file)


def _known_run_dir(shell: Shell, root: str, stack: str) -> str | None:
    """Return the run directory that an earlier deploy made; None if there is none any more.

    What the environment says (``XDG_RUNTIME_DIR``) differs by login, and cron has none: the link in the root does not.
    A root that was copied has the link of the other one: its name does not fit.
    """
    run = shell.read_link(HostPaths(root=root, run="").run_link)
    if run is None or os.path.basename(run) != run_name(root, stack) or not shell.list(run):
        return None
    return run
