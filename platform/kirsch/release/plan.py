"""What a deploy is going to do, as values: worked out before anything is touched, shown, then done one after the other.

A step knows its name and how to say what it will do; how it is done is in `acts`.
"""

from __future__ import annotations

from dataclasses import dataclass

from kirsch.release.environment import Environment
from kirsch.spec import Stack


@dataclass(frozen=True)
class BuildRelease:
    """Copy the snapshot to a place of its own, with what makes it a release."""

    release: str
    files: int
    size_bytes: int
    digest: str
    name = "build"

    def __str__(self) -> str:
        return f"{count(self.files, 'file')}, {_size(self.size_bytes)}, content {self.digest[:12]}"


@dataclass(frozen=True)
class MakeEnvironment:
    """Make the Python environment of the release, unless the host has it."""

    environment: Environment
    wheel: str
    exists: bool
    name = "environment"

    def __str__(self) -> str:
        what = "as it is" if self.exists else f"made anew, with {self.wheel.removesuffix('-py3-none-any.whl')}"
        asked = (
            "" if self.environment.requirements is None else f" and {self.environment.requirements.rpartition('/')[2]}"
        )
        return f"{self.environment.digest} {what}{'' if self.exists else asked}"


@dataclass(frozen=True)
class CopyRelease:
    """Put the release on the host."""

    directory: str
    name = "copy"

    def __str__(self) -> str:
        return f"to {self.directory}"


@dataclass(frozen=True)
class RunReleaseCommand:
    """Run the stack's release command, once, before anything of the new release serves."""

    command: str
    name = "release command"

    def __str__(self) -> str:
        return f"`{self.command}`, once"


@dataclass(frozen=True)
class SwitchCurrent:
    """Make the release the one that new workers take."""

    release: str
    previous: str | None
    name = "switch"

    def __str__(self) -> str:
        return f"current becomes {self.release}" + (f", was {self.previous}" if self.previous else "")


@dataclass(frozen=True)
class StartSupervisor:
    """Start the stack's supervisor, which starts nginx and the workers."""

    workers: int
    name = "start"

    def __str__(self) -> str:
        return f"supervisor, nginx and {count(self.workers, 'worker')}"


@dataclass(frozen=True)
class RenewSupervisor:
    """Put a supervisor of another environment (another kirsch, another Python) in place of the one that runs.

    Workers, slots and nginx outlive it. It is done before anything that cannot be taken back: a supervisor that cannot
    take over has changed nothing.
    """

    pid: int
    environment: str
    name = "supervisor"

    def __str__(self) -> str:
        return f"process {self.pid} changes to {self.environment}; workers and nginx go on"


@dataclass(frozen=True)
class RollWorkers:
    """Replace the workers one by one, each old one only after its successor is ready; *verb* is what the supervisor
    is asked for.
    """

    release: str
    verb: str
    workers: int
    name = "roll"

    def __str__(self) -> str:
        also = ", nginx reloaded if its configuration changed" if self.verb == "apply" else ""
        return f"{count(self.workers, 'worker')} to the new release, one by one{also}"


@dataclass(frozen=True)
class CheckHealth:
    """Ask for every mount of every vhost through nginx, and every worker for its release."""

    urls: tuple[str, ...]
    name = "health"

    def __str__(self) -> str:
        return f"through nginx: {', '.join(self.urls)}"


@dataclass(frozen=True)
class Prune:
    """Remove old releases, and environments that none of the kept ones uses."""

    keep: int
    name = "prune"

    def __str__(self) -> str:
        return f"keep {count(self.keep, 'release')}"


Step = (
    BuildRelease
    | MakeEnvironment
    | CopyRelease
    | RunReleaseCommand
    | SwitchCurrent
    | StartSupervisor
    | RenewSupervisor
    | RollWorkers
    | CheckHealth
    | Prune
)


@dataclass(frozen=True)
class Plan:
    """One deploy to one host: the stack with its real addresses, the release, what serves now, what to be told, and
    the steps.
    """

    host: str
    root: str
    stack: Stack
    admin: str
    release: str
    previous: str | None
    notes: tuple[str, ...]
    steps: tuple[Step, ...]


def count(number: int, word: str) -> str:
    """Say a number of things: "1 host", "3 hosts"."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def _size(size_bytes: int) -> str:
    if size_bytes < 1024:
        return f"{size_bytes} bytes"
    if size_bytes < 1024 * 1024:
        return f"{size_bytes / 1024:.1f} KiB"
    return f"{size_bytes / 1024 / 1024:.1f} MiB"
