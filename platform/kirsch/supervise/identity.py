"""Who the workers of a pool are, when the supervisor is root: whom the pool names, else somebody without rights.

That somebody is the user ``kirsch`` where there is one, else nginx's. Tried out before it is relied on: whether it may
run the release's interpreter, read the release and write what the release has written. Where it may not, workers are
root, and the log says what is in the way and what to do.
"""

from __future__ import annotations

import asyncio
import grp
import logging
import os
import pwd
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kirsch.link.state import State
from kirsch.spec import HostPaths

OWN_USER = "kirsch"
TRIAL_S = 60.0
#: In ROOT/shared: the platform's own, which no worker has to write.
PRIVATE = frozenset({"log", "tls"})
#: Workers make files there; nobody but their owner, and root, moves or removes one.
SHARED_MODE = 0o1775
_TRIAL = "import os, sys, kirsch.worker; sys.exit(0 if os.access(sys.argv[1], os.R_OK | os.X_OK) else 7)"


class Identities:
    """The users of a state's pools.

    Args:
        paths: of the host.
        nginx_user: ``user:group`` of nginx's workers, None when they are who we are.
        say: told of who it is to be, and why not: a kind of event, and its ``message``.
    """

    def __init__(self, paths: HostPaths, nginx_user: str | None, say: Callable[..., None]) -> None:
        self._paths = paths
        self._say = say
        self._is_root = os.getuid() == 0
        self._candidate = _find_candidate(nginx_user) if self._is_root else None
        self._found: dict[tuple[str, str], str | None] = {}

    async def settle(self, state: State) -> bool:
        """Choose, aside; True if some workers are others than we."""
        await asyncio.to_thread(self.choose, state)
        pools = state.stack.pools.values()
        return self._is_root and any(self.of(state, pool.name) not in {None, "root"} for pool in pools)

    def choose(self, state: State) -> None:
        """Find out who the workers of *state* can be, where nobody has said it."""
        key = (state.python, state.release_dir)
        if self._is_root and key not in self._found and any(pool.user is None for pool in state.stack.pools.values()):
            self._found[key] = self._find(state)

    def of(self, state: State, pool: str) -> str | None:
        """Return who the workers of a pool are; None for who we are."""
        spec = state.stack.pools[pool]
        if spec.user is not None or spec.group is not None or not self._is_root:
            return spec.user
        return self._found.get((state.python, state.release_dir))

    def _find(self, state: State) -> str | None:
        problem: str | None
        if self._candidate is None:
            problem = f"there is no user {OWN_USER}, www-data, nginx or nobody"
        else:
            problem = self._problem_with(self._candidate, state)
        if problem is None:
            assert self._candidate is not None
            self._say("user", message=f"workers run as {self._candidate.pw_name}")
            return self._candidate.pw_name
        message = f'workers run as root: {problem}. user = "root" in a pool says that this is meant'
        self._say("root", level=logging.WARNING, message=message)
        return None

    def _problem_with(self, user: pwd.struct_passwd, state: State) -> str | None:
        """Say what keeps *user* from serving *state*, and the cure; None if nothing does."""
        name = user.pw_name
        for path in (state.python, state.release_dir, self._paths.workers):
            closed = find_closed(path, user)
            if closed is not None:
                return f"{name} cannot reach {path}, as {closed} is closed to others; deploy to, and with, what is open"
        try:
            ran = subprocess.run(
                [state.python, "-P", "-c", _TRIAL, state.release_dir],
                user=name, group=user.pw_gid, extra_groups=[], cwd="/",
                capture_output=True, text=True, errors="replace", timeout=TRIAL_S, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{name} cannot run {state.python}: {error}"
        if ran.returncode == 7:
            return f"{name} cannot read {state.release_dir}"
        if ran.returncode:
            last = ran.stderr.strip().rpartition("\n")[2] or f"exit status {ran.returncode}"
            return f"{name} cannot start a worker with {state.python}: {last}"
        return self._open_shared(user)

    def _open_shared(self, user: pwd.struct_passwd) -> str | None:
        """Have *user* write in ROOT/shared, unless there is something of others': that is not ours to give away."""
        shared = self._paths.shared
        os.makedirs(shared, exist_ok=True)
        foreign = next(_foreign_to(user, shared), None)
        if foreign is not None:
            return f"{user.pw_name} cannot write {foreign}; `chown -R {user.pw_name} {foreign}` lets it"
        found = os.stat(shared)
        if found.st_uid != user.pw_uid:
            # SECURITY: not its owner, who could put a link in the place of the logs that root writes
            os.chown(shared, -1, user.pw_gid)
            os.chmod(shared, SHARED_MODE)
        return None


def find_closed(path: str, user: pwd.struct_passwd) -> str | None:
    """Return the first folder on the way to *path*, links followed, that *user* may not pass; None if there is none.

    Those that are not there yet will be the platform's, and open.
    """
    for place in (os.path.abspath(path), os.path.realpath(path)):
        for folder in reversed(Path(place).parents):
            try:
                found = folder.stat()
            except FileNotFoundError:
                break
            except OSError:
                return str(folder)
            if not _may(found, user, stat.S_IXUSR):
                return str(folder)
    return None


def _foreign_to(user: pwd.struct_passwd, shared: str) -> Iterator[str]:
    for entry in sorted(os.scandir(shared), key=lambda entry: entry.name):
        if entry.name in PRIVATE:
            continue
        if not _may(entry.stat(follow_symlinks=False), user, stat.S_IWUSR):
            yield entry.path
        if entry.is_dir(follow_symlinks=False):
            for folder, folders, files in os.walk(entry.path):
                for name in (*folders, *files):
                    path = os.path.join(folder, name)
                    if not _may(os.lstat(path), user, stat.S_IWUSR):
                        yield entry.path


def _may(found: os.stat_result, user: pwd.struct_passwd, right: int) -> bool:
    """True if *user* has a right of the owner's (``S_IXUSR``) to a file, as its modes say."""
    if found.st_uid == user.pw_uid:
        return bool(found.st_mode & right)
    if found.st_gid == user.pw_gid:
        return bool(found.st_mode & right >> 3)
    return bool(found.st_mode & right >> 6)


def _find_candidate(nginx_user: str | None) -> pwd.struct_passwd | None:
    for name in (OWN_USER, (nginx_user or "").partition(":")[0]):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        if user.pw_uid != 0:
            return user
    return None


def identity_of(user: str | None, group: str | None) -> dict[str, Any]:
    """Return the arguments of Popen that make the child another user, of the named group or of its own ones.

    Raises:
        KeyError: there is no such user, or group.
    """
    if os.getuid() != 0 or (user is None and group is None):
        return {}
    user = user or "root"
    number = grp.getgrnam(group).gr_gid if group is not None else _primary_group(user)
    return {"user": user, "group": number, "extra_groups": os.getgrouplist(user, number)}


def _primary_group(user: str) -> int:
    return pwd.getpwnam(user).pw_gid
