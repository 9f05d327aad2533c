"""The few things that a deploy does on a host, and how they are done on this machine.

Law: everything in this room that touches a host goes through a `Shell`. Its verbs are those that one round trip over
SSH can do (run a program, read or write one file whole, make a link), so that another host is another class and no
other change.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kirsch.errors import DeployError
from kirsch.supervise.identity import identity_of

Listener = Callable[[str], None]


@dataclass(frozen=True)
class Ran:
    """How a program ended: its exit status (negative: the signal that ended it) and what it wrote, both streams in
    order.
    """

    status: int
    output: str

    def last_lines(self, count: int = 20) -> str:
        """Return the end of the output, *count* lines at most."""
        return "\n".join(self.output.rstrip().splitlines()[-count:])


class Shell(Protocol):
    """A host, as far as a deploy needs one. Paths are absolute and belong to the host."""

    name: str

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        listener: Listener | None = None,
        user: str | None = None,
        group: str | None = None,
    ) -> Ran:
        """Run a program to its end; *env* replaces the environment, *listener* is told each line as it comes.

        Only root can run it as another *user*, with that one's groups, or as *group*. A program that cannot be started
        at all ends with status 127 and the reason as its output.
        """

    def spawn(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], log: str) -> int:
        """Start a program that outlives this one, in a session of its own, its output appended to *log*; return its
        pid.
        """

    def is_alive(self, pid: int) -> bool:
        """Is there a process *pid*?"""

    def read(self, path: str) -> bytes | None:
        """Return a file's content, None if there is no such file."""

    def write(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Put *content* in place of a file, whole or not at all."""

    def append(self, path: str, content: bytes) -> None:
        """Add *content* to the end of a file, made if need be."""

    def create(self, path: str, content: bytes) -> bool:
        """Make a file that must not exist yet, with its content in it from the first moment; False if it did."""

    def rename(self, path: str, to: str) -> bool:
        """Move a file, False if it is gone."""

    def link(self, path: str, target: str) -> None:
        """Point the symbolic link *path* at *target*, from one instant to the next."""

    def read_link(self, path: str) -> str | None:
        """Return where a symbolic link points, None if there is none."""

    def list(self, path: str) -> tuple[str, ...]:
        """Return the names in a directory, sorted; none if there is no such directory."""

    def make_directory(self, path: str, *, mode: int = 0o755) -> None:
        """Make a directory and those above it."""

    def claim_directory(self, path: str) -> None:
        """Make a directory that must be ours alone to write in, and its parent likewise.

        SECURITY: run directories may lie in /tmp, where somebody else can have made the name before us and could swap
        what is in it.

        Raises:
            DeployError: it belongs to somebody else, or others may write in it.
        """

    def put(self, source: Path, path: str) -> None:
        """Copy a directory of *this* machine, with its modes and symbolic links, to a directory of the host that does
        not exist yet.
        """

    def remove(self, path: str) -> None:
        """Remove a file, a link or a whole directory; nothing happens if it is gone."""


class LocalShell:
    """This machine."""

    def __init__(self, name: str = "local") -> None:
        self.name = name

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        listener: Listener | None = None,
        user: str | None = None,
        group: str | None = None,
    ) -> Ran:
        """Run a program to its end, both of its streams as one."""
        lines = []
        try:
            process = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env=None if env is None else dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                **identity_of(user, group),
            )
        except KeyError as error:
            return Ran(127, f"there is no such user, or group: {error}")
        except OSError as error:
            return Ran(127, str(error))
        with process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if listener is not None:
                    listener(line.rstrip("\n"))
        return Ran(process.returncode, "".join(lines))

    def spawn(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], log: str) -> int:
        """Start a program that outlives this one."""
        with open(log, "ab") as output:
            process = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        # The child is meant to outlive us: nobody will wait for it, and Popen need not warn of that.
        process.returncode = 0
        return process.pid

    def is_alive(self, pid: int) -> bool:
        """Is there a process *pid*, and not only a zombie that nobody has waited for?"""
        stat_file = self.read(f"/proc/{pid}/stat")
        return stat_file is not None and stat_file.rpartition(b")")[2].split()[0] != b"Z"

    def read(self, path: str) -> bytes | None:
        """Return a file's content."""
        try:
            return Path(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
            return None

    def write(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Replace a file by writing beside it and renaming."""
        self._write_beside(path, content, mode, os.replace)

    def append(self, path: str, content: bytes) -> None:
        """Add to the end of a file in one write, so that lines of two writers do not mix."""
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, content)
        finally:
            os.close(descriptor)

    def create(self, path: str, content: bytes) -> bool:
        """Make a file that must not exist: written beside, then hard-linked, which fails if the name is taken."""
        try:
            self._write_beside(path, content, 0o644, os.link)
        except FileExistsError:
            return False
        return True

    def rename(self, path: str, to: str) -> bool:
        """Move a file."""
        try:
            os.rename(path, to)
        except FileNotFoundError:
            return False
        return True

    def link(self, path: str, target: str) -> None:
        """Make the link beside, then rename it over the old one."""
        beside = _beside(path)
        os.symlink(target, beside)
        try:
            os.replace(beside, path)
        except OSError:
            os.unlink(beside)
            raise

    def read_link(self, path: str) -> str | None:
        """Return where a symbolic link points."""
        try:
            return os.readlink(path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def list(self, path: str) -> tuple[str, ...]:
        """Return the names in a directory."""
        try:
            return tuple(sorted(os.listdir(path)))
        except (FileNotFoundError, NotADirectoryError):
            return ()

    def make_directory(self, path: str, *, mode: int = 0o755) -> None:
        """Make a directory and those above it."""
        os.makedirs(path, mode=mode, exist_ok=True)

    def claim_directory(self, path: str) -> None:
        """Make a directory and its parent, and look at whose they are."""
        for place in (os.path.dirname(path), path):
            os.makedirs(place, mode=0o755, exist_ok=True)
            found = os.lstat(place)
            if found.st_uid != os.getuid() or found.st_mode & 0o022 or not stat.S_ISDIR(found.st_mode):
                raise DeployError(
                    f"{place} belongs to user {found.st_uid} with mode {stat.S_IMODE(found.st_mode):o}: "
                    "it has to be a directory of yours that nobody else may write in",
                    host=self.name,
                )

    def put(self, source: Path, path: str) -> None:
        """Copy a directory under another name first, so that a copy cut short is never taken for a release."""
        partial = _beside(path)
        try:
            shutil.copytree(source, partial, symlinks=True)
            os.rename(partial, path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise

    def remove(self, path: str) -> None:
        """Remove whatever bears the name."""
        if os.path.isdir(path) and not os.path.islink(path):
            # Moved away first: whoever still runs in it (a worker that drains, and caches what it imports) adds nothing
            # under our hands, and a removal cut short leaves no half of it under its name.
            doomed = _beside(path)
            os.rename(path, doomed)
            shutil.rmtree(doomed, onerror=_try_again)
            return
        Path(path).unlink(missing_ok=True)

    def _write_beside(self, path: str, content: bytes, mode: int, place: Callable[[str, str], None]) -> None:
        beside = _beside(path)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            place(beside, path)
        finally:
            Path(beside).unlink(missing_ok=True)


def _try_again(remove: Callable[..., object], path: str, failure: object) -> None:
    """Remove once more what `rmtree` could not: a file may have come between its look and its act."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        Path(path).unlink(missing_ok=True)


def _beside(path: str) -> str:
    """Return a name in the same directory that nobody else uses."""
    directory, name = os.path.split(path)
    return os.path.join(directory, f".{name}.{os.getpid()}.{os.urandom(4).hex()}")
