"""Deploys whose environment is another: what becomes of the supervisor, of a stack that is really deployed.

The tests of this file are one story, told in order.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kirsch.errors import NginxError
from kirsch.nginx.binary import find_nginx

STACK = """
[stack]
name = "succession"
requirements = "requirements.txt"
[app.shop]
entry = "shop:Root"
[pool.web]
workers = 1
"""
SHOP = """
import os, cherrypy

class Root:
    @cherrypy.expose
    def index(self):
        return os.environ["KIRSCH_RELEASE"]
"""
NO_REHEARSAL = 'import sys\nif "kirsch.supervise" in sys.orig_argv: sys.exit("no supervisor can be had here")\n'
NO_LIFE = NO_REHEARSAL.replace(": sys", ' and "--check" not in sys.orig_argv: sys')

pytestmark = [pytest.mark.nginx, pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass
class Asker:
    """Asks again and again until it is told to stop."""

    url: str
    stop: threading.Event = field(default_factory=threading.Event)
    answered: int = 0
    failures: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Ask, one request after the other."""
        while not self.stop.wait(0.02):
            try:
                with urllib.request.urlopen(self.url, timeout=10) as answer:
                    answer.read()
                    self.answered += 1
            except OSError as error:
                self.failures.append(str(error))


@dataclass
class Site:
    """A stack of one app on the disk, deployed to a root beside it."""

    folder: Path
    port: int

    def kirsch(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run the command line."""
        where = ["--stack", str(self.folder / "site" / "kirsch.toml"), "--inventory", str(self.folder / "local.toml")]
        return subprocess.run(
            [sys.executable, "-m", "kirsch", *argv, *where], capture_output=True, text=True, check=False, timeout=180
        )

    def status(self) -> dict[str, Any]:
        """What the supervisor says."""
        found: dict[str, Any] = json.loads(self.kirsch("status", "--json").stdout)
        return found

    def require(self, name: str, startup: str) -> None:
        """Have an environment of its own, each Python of which runs *startup* first."""
        info = f"{name}-1.dist-info"
        wheel = f"{name}-1-py3-none-any.whl"
        with zipfile.ZipFile(self.folder / "site" / wheel, "w") as file:
            file.writestr("sitecustomize.py", startup)
            file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
            file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            file.writestr(f"{info}/RECORD", "")
        (self.folder / "site" / "requirements.txt").write_text(f"./{wheel}\n")

    def deploy_under_way(self) -> tuple[subprocess.CompletedProcess[str], Asker]:
        """Deploy while somebody asks."""
        asker = Asker(f"http://127.0.0.1:{self.port}/")
        thread = threading.Thread(target=asker.run)
        thread.start()
        try:
            ran = self.kirsch("deploy")
        finally:
            asker.stop.set()
            thread.join()
        return ran, asker


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site that is deployed; nothing of it is left."""
    try:
        find_nginx()
    except NginxError as error:
        pytest.skip(f"no nginx: {error.message}")
    folder = tmp_path_factory.mktemp("succession")
    # nginx's workers are another user when this is root, and pytest's folders are private
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        port, admin = one.getsockname()[1], other.getsockname()[1]
    (folder / "local.toml").write_text(
        f'admin = "127.0.0.1:{admin}"\n[listen]\nmain = "127.0.0.1:{port}"\n'
        '[host.local]\nconnection = "local"\nroot = "root"\n'
    )
    (folder / "site").mkdir()
    (folder / "site" / "kirsch.toml").write_text(f'{STACK}[vhost.main]\nlisten = ["127.0.0.1:{port}"]\n')
    (folder / "site" / "requirements.txt").write_text("")
    (folder / "site" / "shop.py").write_text(SHOP)
    made = Site(folder, port)
    yield made
    made.kirsch("down", "--purge", "--yes")


def test_first_deploy(site: Site) -> None:
    """The supervisor runs on the release's environment."""
    ran = site.kirsch("deploy")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert Path(site.status()["python"]).is_relative_to(site.folder / "root" / "envs")


def test_supervisor_that_cannot_start_is_refused(site: Site) -> None:
    """The old one answers, the workers of before serve, and what the new one printed is on the screen."""
    before = site.status()
    site.require("unable", NO_REHEARSAL)
    ran, asker = site.deploy_under_way()
    after = site.status()

    assert ran.returncode == 1
    assert "no supervisor can be had here" in ran.stdout + ran.stderr
    assert [after[name] for name in ("pid", "started", "python", "release")] == [
        before[name] for name in ("pid", "started", "python", "release")
    ]
    assert after["pools"][0]["workers"][0]["pid"] == before["pools"][0]["workers"][0]["pid"]
    assert os.readlink(site.folder / "root" / "current") == f"releases/{before['release']}"
    assert asker.answered
    assert asker.failures == []


def test_supervisor_that_dies_is_followed_by_the_old_one(site: Site) -> None:
    """Its rehearsal went well; then the process is gone, and one on the old environment adopts what is there."""
    before = site.status()
    site.require("mortal", NO_LIFE)
    ran, asker = site.deploy_under_way()
    after = site.status()

    assert ran.returncode == 1
    assert "the old one is back" in ran.stdout + ran.stderr
    assert "no supervisor can be had here" in ran.stdout + ran.stderr
    assert after["pid"] != before["pid"]
    assert (after["python"], after["release"]) == (before["python"], before["release"])
    assert after["pools"][0]["workers"][0]["pid"] == before["pools"][0]["workers"][0]["pid"]
    assert asker.answered
    assert asker.failures == []


def test_good_one_keeps_the_process(site: Site) -> None:
    """Another environment, the same process id; the workers are those of the new release."""
    before = site.status()
    site.require("fine", "")
    ran, asker = site.deploy_under_way()
    after = site.status()

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert after["pid"] == before["pid"]
    assert after["started"] > before["started"]
    assert after["python"] != before["python"]
    assert after["generation"] == before["generation"] + 1
    assert [worker["release"] for worker in after["pools"][0]["workers"]] == [after["release"]]
    assert after["release"] != before["release"]
    assert asker.failures == []
