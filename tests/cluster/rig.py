"""A cluster on one machine: network namespaces with a bridge between, sshd in each, Redis, a desk to deploy from.

Each host has a network, a host name, a `/run` and a `/srv` of its own, and shares everything else with this machine.
Nothing of it is in the machine's own network or mounts. What a crash leaves behind, the next rig removes: namespaces
bear the number of the process that made them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TOOLS = ("ip", "unshare", "nsenter", "ssh", "ssh-keygen", "redis-server", "nginx")
SSHD = "/usr/sbin/sshd"
PREFIX = "kns-cl"
NETWORK = "10.77.0"
DESK = "desk"
REDIS = f"redis://{NETWORK}.1:6379/0"
PYTHON = os.path.realpath(sys.executable)
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
TIMEOUT_S = 180


def why_not() -> str | None:
    """Return why there can be no rig here; None if there can."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    missing = [tool for tool in TOOLS if shutil.which(tool, path=PATH) is None]
    if not os.path.exists(SSHD):
        missing.append("sshd (openssh-server)")
    return f"not installed: {', '.join(missing)}" if missing else None


@dataclass
class Box:
    """One namespace with everything in it; *process* is its sshd, or what keeps the desk."""

    name: str
    address: str
    namespace: str
    folder: Path
    process: subprocess.Popen[bytes]

    def enter(self, *argv: str) -> list[str]:
        """The command line that runs *argv* inside."""
        return ["nsenter", "--target", str(self.process.pid), "--net", "--mount", "--uts", "--", *argv]

    def run(self, *argv: str, timeout_s: float = TIMEOUT_S) -> subprocess.CompletedProcess[str]:
        """Run a program inside."""
        return subprocess.run(self.enter(*argv), capture_output=True, text=True, check=False, timeout=timeout_s)

    def pids(self) -> list[int]:
        """Every process inside."""
        return namespace_pids(self.namespace)


class Rig:
    """The desk and *hosts*, up from construction until `close`."""

    def __init__(self, hosts: Sequence[str] = ("web1", "web2", "web3")) -> None:
        remove_left_behind()
        self.folder = Path(tempfile.mkdtemp(prefix="kns-cl-"))
        self.folder.chmod(0o755)
        self.boxes: dict[str, Box] = {}
        self.names = [DESK, *hosts]
        try:
            self._make_keys()
            self._make_networks()
            self._start(DESK, f"{NETWORK}.1")
            for number, name in enumerate(hosts, 11):
                self._start(name, f"{NETWORK}.{number}")
            self._start_redis()
            self._wait_for_sshd()
        except BaseException:
            self.close()
            raise

    @property
    def desk(self) -> Box:
        """Where deploys and load come from."""
        return self.boxes[DESK]

    @property
    def hosts(self) -> dict[str, Box]:
        """Everybody but the desk."""
        return {name: box for name, box in self.boxes.items() if name != DESK}

    def close(self) -> None:
        """End everything inside, and remove it."""
        for name in self.names:
            remove_namespace(self._namespace(name))
        for box in self.boxes.values():
            box.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _namespace(self, name: str) -> str:
        return f"{PREFIX}-{os.getpid()}-{name}"

    def _make_keys(self) -> None:
        for name in ("login", *self.names[1:]):
            keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self.folder / name)]
            subprocess.run(keygen, check=True)
        (self.folder / "known_hosts").write_text(
            "".join(
                f"{NETWORK}.{number} {(self.folder / f'{name}.pub').read_text()}"
                for number, name in enumerate(self.names[1:], 11)
            )
        )
        (self.folder / "ssh_config").write_text(
            f"Host *\n  IdentityFile {self.folder}/login\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.folder}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
        )

    def _make_networks(self) -> None:
        for name in self.names:
            ip("netns", "add", self._namespace(name))
        desk = self._namespace(DESK)
        lines = ["link set lo up", "link add br0 type bridge", f"addr add {NETWORK}.1/24 dev br0", "link set br0 up"]
        for name in self.names[1:]:
            lines += [
                f"link add v-{name} type veth peer name eth0 netns {self._namespace(name)}",
                f"link set v-{name} master br0 up",
            ]
        ip("-n", desk, "-batch", "-", lines=lines)
        for number, name in enumerate(self.names[1:], 11):
            lines = ["link set lo up", f"addr add {NETWORK}.{number}/24 dev eth0", "link set eth0 up"]
            ip("-n", self._namespace(name), "-batch", "-", lines=lines)

    def _start(self, name: str, address: str) -> None:
        namespace = self._namespace(name)
        place = self.folder / f"{name}.srv"
        place.mkdir()
        config = self.folder / f"{name}.sshd"
        config.write_text(
            f"HostKey {self.folder}/{name}\nListenAddress {address}:22\nPidFile none\nUsePAM no\nStrictModes no\n"
            f"PermitRootLogin prohibit-password\nAuthorizedKeysFile {self.folder}/login.pub\nMaxStartups 100\n"
        )
        last = "exec sleep infinity" if name == DESK else f"exec {SSHD} -D -e -f {config}"
        script = "\n".join(
            [
                "set -e",
                f"hostname {name}",
                "mount -t tmpfs -o mode=755 tmpfs /run",
                "mkdir /run/sshd",
                f"mount --bind {place} /srv",
                f"mount --bind {self.folder}/ssh_config /etc/ssh/ssh_config",
                last,
            ]
        )
        argv = ["ip", "netns", "exec", namespace, "unshare", "--mount", "--uts", "/bin/sh", "-c", script]
        with (self.folder / f"{name}.log").open("wb") as log:
            environ = {**os.environ, "PATH": PATH}
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ)
        self.boxes[name] = Box(name, address, namespace, place, process)

    def _start_redis(self) -> None:
        argv = ["redis-server", "--bind", f"{NETWORK}.1", "--save", "", "--protected-mode", "no", "--daemonize", "yes"]
        wait_until(lambda: self.desk.run("test", "-d", "/run/sshd").returncode == 0)
        self.desk.run(*argv, "--dir", str(self.folder))

    def _wait_for_sshd(self) -> None:
        for box in self.hosts.values():
            wait_until(lambda box=box: b"listening" in (self.folder / f"{box.name}.log").read_bytes())


def ip(*words: str, lines: Sequence[str] = ()) -> None:
    """Run `ip`, several commands at once where *lines* are given."""
    argv = [shutil.which("ip", path=PATH) or "ip", *words]
    ran = subprocess.run(argv, input="\n".join(lines), capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {ran.stderr}")


def namespace_pids(namespace: str) -> list[int]:
    """The processes in a network namespace."""
    argv = [shutil.which("ip", path=PATH) or "ip", "netns", "pids", namespace]
    return [int(line) for line in subprocess.run(argv, capture_output=True, text=True, check=False).stdout.split()]


def remove_namespace(namespace: str) -> None:
    """End every process in a namespace of ours and remove it; nothing happens if there is none."""
    if not os.path.exists(f"/run/netns/{namespace}"):
        return
    deadline = time.monotonic() + 20
    while (pids := namespace_pids(namespace)) and time.monotonic() < deadline:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)
    ip("netns", "del", namespace)


def remove_left_behind() -> None:
    """Remove the namespaces of rigs whose process is gone."""
    for path in Path("/run/netns").glob(f"{PREFIX}-*"):
        maker = path.name.split("-")[2]
        if not os.path.exists(f"/proc/{maker}"):
            remove_namespace(path.name)


def wait_until(condition, timeout_s: float = 30.0) -> None:  # type: ignore[no-untyped-def]
    """Wait for a condition."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the condition did not come true")
        time.sleep(0.02)


@dataclass
class Shooter:
    """Clients at the desk that fire until told to stop; what they found is in `stop`."""

    process: subprocess.Popen[str]

    def stop(self) -> dict:  # type: ignore[type-arg]
        """End the fire and return what came of it."""
        said, _ = self.process.communicate("", timeout=60)
        return json.loads(said)


def shoot(rig: Rig, addresses: Sequence[str], clients: int = 4) -> Shooter:
    """Fire from the desk at *addresses* ("10.77.0.11:8080"), so many clients each."""
    script = str(Path(__file__).with_name("shoot.py"))
    argv = rig.desk.enter(PYTHON, script, str(clients), *addresses)
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "firing\n"
    return Shooter(process)
