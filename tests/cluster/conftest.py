"""A rig for the whole module, and a site that is deployed to it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kirsch.release import wheel
from kirsch.release.hosts.kit import cache_folder, describe_kit, make_parts
from kirsch.release.snapshot import take_snapshot
from kirsch.spec import load_stack

HERE = Path(__file__).parent
PORT = 8080


def load_beside(name: str) -> Any:
    """Import a file of this folder (the tests' folders are no packages)."""
    spec = importlib.util.spec_from_file_location(f"cluster_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


rig_module = load_beside("rig")

STACK = """
[stack]
name = "shop"
release_command = "echo $KIRSCH_RELEASE >> {folder}/commands"

[app.shop]
entry = "shop:Root"

[pool.web]
workers = 1
threads = 4
roll = {{ bake_s = 0.2 }}

[vhost.main]
listen = ["0.0.0.0:{port}"]

[bus]
url = "{redis}"
"""

SHOP = """
import os
import cherrypy

WORDS = "echo"

class Root:
    @cherrypy.expose
    def echo(self, note):
        cherrypy.response.headers["X-Release"] = os.environ["KIRSCH_RELEASE"]
        return f"{WORDS} {note}"

    @cherrypy.expose
    def index(self):
        return "shop"
"""

INVENTORY = """
admin = "127.0.0.1:9180"

[deploy]
batch = {batch}

{hosts}
"""


@dataclass
class Site:
    """A stack beside its inventory, deployed from the desk of a rig."""

    rig: Any
    folder: Path
    count: int = 0

    def command(self, *argv: str) -> list[str]:
        """The command line of `kirsch`, at the desk."""
        where = ["--stack", str(self.folder / "site" / "kirsch.toml"), "--inventory", str(self.folder / "cluster.toml")]
        return self.rig.desk.enter(sys.executable, "-m", "kirsch", *argv, *where)  # type: ignore[no-any-return]

    def environ(self) -> dict[str, str]:
        """Typed by hand, not by make; parts of the kit that were made outside are found."""
        return {name: value for name, value in os.environ.items() if name != "MAKELEVEL"}

    def kirsch(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run the command line."""
        return subprocess.run(
            self.command(*argv), capture_output=True, text=True, check=False, timeout=120, env=self.environ()
        )

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """Begin a command, to be watched line by line."""
        return subprocess.Popen(
            self.command(*argv), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.environ()
        )

    def change(self, code: str = SHOP) -> None:
        """Write the site anew, different from whatever was deployed before."""
        self.count += 1
        (self.folder / "site" / "shop.py").write_text(f"# {self.count}\n{code}")

    def break_on(self, host: str) -> None:
        """Write the site so that it does not come up on one host."""
        self.change(
            f"import socket\nif socket.gethostname() == '{host}':\n    raise RuntimeError('not on {host}')\n{SHOP}"
        )

    def write_inventory(self, batch: str = "1") -> None:
        """Write the inventory."""
        hosts = "".join(
            f'[host.{name}]\naddress = "{box.address}"\nuser = "root"\nroot = "/srv/shop"\n'
            f'python = "{rig_module.PYTHON}"\n'
            for name, box in self.rig.hosts.items()
        )
        (self.folder / "cluster.toml").write_text(INVENTORY.format(batch=batch, hosts=hosts))

    def releases(self) -> dict[str, str]:
        """What is current on each host."""
        return {
            name: os.path.basename(os.readlink(box.folder / "shop" / "current")) for name, box in self.rig.hosts.items()
        }

    def locks(self) -> list[str]:
        """The hosts whose lock is held."""
        return [name for name, box in self.rig.hosts.items() if (box.folder / "shop" / "deploy.lock").exists()]

    def history(self, name: str) -> list[dict[str, Any]]:
        """The history of a host."""
        text = (self.rig.hosts[name].folder / "shop" / "history.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def commands(self) -> list[str]:
        """For which releases the release command ran, in order."""
        return (self.folder / "commands").read_text().split()

    @property
    def addresses(self) -> list[str]:
        """Where each host answers."""
        return [f"{box.address}:{PORT}" for box in self.rig.hosts.values()]

    def shoot(self) -> Any:
        """Fire at every host."""
        return rig_module.shoot(self.rig, self.addresses)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A site and its hosts, nothing deployed yet; whatever happens, nothing of it is left."""
    if reason := rig_module.why_not():
        pytest.skip(reason)
    rig = rig_module.Rig()
    try:
        site = Site(rig, rig.folder)
        (rig.folder / "site").mkdir()
        (rig.folder / "commands").touch(mode=0o666)
        (rig.folder / "commands").chmod(0o666)
        stack = STACK.format(folder=rig.folder, port=PORT, redis=rig_module.REDIS)
        (rig.folder / "site" / "kirsch.toml").write_text(stack)
        site.change()
        site.write_inventory()
        # the desk has no way to a package index
        loaded = load_stack(rig.folder / "site" / "kirsch.toml")
        kit = describe_kit(loaded, take_snapshot(rig.folder / "site"), wheel.find_source(), with_nginx=False)
        make_parts(kit, cache_folder(), os.environ)
        yield site
    finally:
        rig.close()


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Wait for a condition."""
    return rig_module.wait_until  # type: ignore[no-any-return]
