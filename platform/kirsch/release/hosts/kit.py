"""What a host needs before it can do anything: kirsch itself with what it imports, the packages of the release, and
the release's files. Each is named by a hash of its content, made once here and brought to a host that lacks it.

Nothing is fetched by a host: it installs from the wheels that it is brought, so it needs no index and no network.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kirsch.errors import DeployError
from kirsch.release import wheel
from kirsch.release.environment import hash_environment, installer_environ
from kirsch.release.hosts.preflight import our_tag
from kirsch.release.hosts.ssh import Ssh
from kirsch.release.snapshot import Snapshot
from kirsch.spec import Stack

KEEP = 4
"""As many of each kind stay in the cache and on a host: another deploy may be about to use one."""
PACK_LEVEL = 1


@dataclass(frozen=True)
class Kit:
    """The three parts, as names under ROOT/kit: ("agent-…", "wheels-…", "source-…")."""

    agent: str
    wheels: str
    source: str
    snapshot: Snapshot
    kirsch: wheel.Source
    requirements: Path | None
    extras: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (self.agent, self.wheels, self.source)


def describe_kit(stack: Stack, snapshot: Snapshot, source: wheel.Source, *, with_nginx: bool) -> Kit:
    """Say what *stack* needs on its hosts, nginx too if one of them has none; nothing is made yet."""
    engines = {pool.engine for pool in stack.pools.values()}
    extras = (*(["nginx"] if with_nginx else []), *sorted(engines & {"gunicorn", "uwsgi"}))
    requirements = None if stack.requirements is None else Path(stack.directory) / stack.requirements
    # other code of kirsch needs no other packages
    needed = "\n".join(line for line in source.metadata.splitlines() if line.startswith("Requires-Dist:"))
    packages = hash_environment(
        requirements=requirements, kirsch_digest=needed, extras=extras, python_version=our_tag()
    )
    agent = hashlib.sha256(f"{source.digest} {our_tag()}".encode()).hexdigest()[:16]
    return Kit(
        agent=f"agent-{agent}",
        wheels=f"wheels-{packages}",
        source=f"source-{snapshot.digest[:16]}",
        snapshot=snapshot,
        kirsch=source,
        requirements=requirements,
        extras=extras,
    )


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where made parts are kept on this machine."""
    base = environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "kirsch" / "kit"


def make_parts(kit: Kit, cache: Path, environ: Mapping[str, str]) -> dict[str, Path]:
    """Make what the cache lacks of agent and wheels; return where each is.

    Raises:
        DeployError: pip cannot get a package.
    """
    cache.mkdir(parents=True, exist_ok=True)
    env = installer_environ(environ)
    wheels, agent = cache / kit.wheels, cache / kit.agent
    with tempfile.TemporaryDirectory(prefix="kirsch-") as scratch:
        own = wheel.write_wheel(kit.kirsch, Path(scratch))
        if not wheels.exists():
            with _beside(wheels) as folder:
                asked = [f"{own}[{','.join(kit.extras)}]" if kit.extras else str(own)]
                if kit.requirements is not None:
                    asked += ["--requirement", str(kit.requirements)]
                _pip(["wheel", "--wheel-dir", str(folder), *asked], kit.snapshot.source, env)
                (folder / own.name).unlink()  # the agent packs its own
        if not agent.exists():
            with _beside(agent) as folder:
                offline = ["--no-index", "--find-links", str(wheels)]
                _pip(["install", *offline, "--no-compile", "--target", str(folder), str(own)], cache, env)
    for kind in ("wheels", "agent"):
        _forget_old(cache, kind, {wheels, agent})
    return {kit.wheels: wheels, kit.agent: agent}


def bring(ssh: Ssh, root: str, name: str, write: Callable[[IO[bytes]], None]) -> None:
    """Unpack a tar that *write* makes to ROOT/kit/*name* on the host, whole or not at all.

    Raises:
        DeployError: it cannot be unpacked there.
    """
    place, beside = f"{root}/kit/{name}", f"{root}/kit/.{name}.{os.urandom(4).hex()}"
    # whoever brings the same at the same time may come first: then it is there
    unpack = (
        f"mkdir -p {shlex.quote(beside)} && tar -xzf - -C {shlex.quote(beside)} && "
        f"{{ mv -T {shlex.quote(beside)} {shlex.quote(place)} 2>/dev/null || test -d {shlex.quote(place)}; }}; "
        f"status=$?; rm -rf {shlex.quote(beside)}; exit $status"
    )
    ran = ssh.feed(["/bin/sh", "-c", unpack], write)
    if ran.status:
        raise DeployError(f"{name} cannot be brought to {place}", host=ssh.name, step="bring", output=ran.last_lines())


def pack_folder(folder: Path) -> Callable[[IO[bytes]], None]:
    """Return a writer of the folder as a tar."""

    def write(to: IO[bytes]) -> None:
        with _pack(to) as tar:
            tar.add(folder, arcname=".", filter=_nobody)

    return write


def pack_snapshot(snapshot: Snapshot) -> Callable[[IO[bytes]], None]:
    """Return a writer of the snapshot's files as a tar; the host compares their hashes."""

    def write(to: IO[bytes]) -> None:
        with _pack(to) as tar:
            for entry in snapshot.entries:
                tar.add(snapshot.source / entry.path, arcname=entry.path, recursive=False, filter=_nobody)

    return write


@contextmanager
def _pack(to: IO[bytes]) -> Iterator[tarfile.TarFile]:
    with gzip.GzipFile(fileobj=to, mode="wb", compresslevel=PACK_LEVEL, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w|") as tar:
            yield tar


def _nobody(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Files belong to the login there, whoever has them here."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


@contextmanager
def _beside(place: Path) -> Iterator[Path]:
    """Make a folder that gets its name once it is whole."""
    folder = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    folder.chmod(0o755)
    try:
        yield folder
        with suppress(OSError):  # somebody else has made the same meanwhile
            folder.rename(place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pip(words: list[str], cwd: Path, env: Mapping[str, str]) -> None:
    argv = [sys.executable, "-m", "pip", "-qq", "--no-input", "--disable-pip-version-check", *words]
    ran = subprocess.run(
        argv, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if ran.returncode:
        output = "\n".join(ran.stdout.decode("utf-8", "replace").rstrip().splitlines()[-20:])
        raise DeployError(f"the packages cannot be had: pip ended with status {ran.returncode}", output=output)


def _forget_old(cache: Path, kind: str, keep: set[Path]) -> None:
    made = sorted(cache.glob(f"{kind}-*"), key=lambda path: path.stat().st_mtime)
    for path in made[:-KEEP]:
        if path not in keep:
            shutil.rmtree(path, ignore_errors=True)
