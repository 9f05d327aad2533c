"""The two options that every verb has, and what they lead to: a stack, and the host that it is on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from kirsch.release.target import Target, find_target, local_inventory
from kirsch.spec import Inventory, Stack, load_inventory, load_stack

Command = Callable[..., Any]


@dataclass(frozen=True)
class Place:
    """A stack and its inventory, read and checked; *options* is how the operator named them, to be repeated in
    advice.
    """

    stack: Stack
    stack_file: str
    inventory: Inventory
    inventory_file: str
    base: Path
    options: str

    @property
    def is_remote(self) -> bool:
        """Are there hosts that SSH leads to?"""
        return any(host.connection == "ssh" for host in self.inventory.hosts.values())

    @property
    def target(self) -> Target:
        """The host.

        Raises:
            SpecError: this version cannot reach it.
        """
        return find_target(self.stack.name, self.inventory, file=self.inventory_file, base=self.base)


def with_place(command: Command) -> Command:
    """Give a verb `--stack` and `--inventory`, and the `Place` that they name as its first argument."""

    @click.option(
        "--stack",
        "-s",
        "stack_file",
        default="kirsch.toml",
        show_default=True,
        metavar="FILE",
        help="What to run: apps, pools, vhosts.",
    )
    @click.option(
        "--inventory",
        "-i",
        "inventory_file",
        default=None,
        metavar="FILE",
        help="Where to run it; without one: on this machine, under .kirsch/local beside the stack's file.",
    )
    @wraps(command)
    def run(stack_file: str, inventory_file: str | None, **rest: Any) -> Any:
        return command(read_place(stack_file, inventory_file), **rest)

    return run


def read_place(stack_file: str, inventory_file: str | None) -> Place:
    """Read both files.

    Raises:
        SpecError: every problem of the first file that has any.
    """
    stack = load_stack(stack_file)
    words = [] if stack_file == "kirsch.toml" else [f"--stack {stack_file}"]
    if inventory_file is None:
        return Place(stack, stack_file, local_inventory(), stack_file, Path(stack_file).parent, " ".join(words))
    words.append(f"--inventory {inventory_file}")
    inventory = load_inventory(inventory_file)
    return Place(stack, stack_file, inventory, inventory_file, Path(inventory_file).parent, " ".join(words))
