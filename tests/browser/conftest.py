"""A browser, the judge of accessibility, and a running stack with somebody who asks for pages: one of each a module."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..platform.supervise import conftest as hosts
from .chromium import Chromium, find_chromium

AXE = "axe-core@4"
CACHE = Path(__file__).parents[2] / ".cache" / "npm"
#: Where the pictures go, for those who want to look at them.
PICTURES = "KIRSCH_TEST_PICTURES"
SHOP = """
import os, time
import cherrypy

class Root:
    @cherrypy.expose
    def index(self):
        return "Hello"

    @cherrypy.expose
    def report(self):
        time.sleep(0.02)
        return "report"

    @cherrypy.expose
    def patience(self, until):
        deadline = time.monotonic() + 60
        while not os.path.exists(until) and time.monotonic() < deadline:
            time.sleep(0.01)
        return "over"

    @cherrypy.expose
    def broken(self):
        raise ValueError("no such jam")
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """The browser."""
    binary = find_chromium()
    if binary is None:
        pytest.skip("there is no Chromium on this machine: apt install chromium")
    browser = Chromium(binary)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, from the package index of npm; kept for the next run."""
    path = CACHE / "node_modules" / "axe-core" / "axe.min.js"
    if not path.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm, which fetches axe-core, is not on this machine")
        CACHE.mkdir(parents=True, exist_ok=True)
        options = ["--prefix", str(CACHE), "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run([npm, "install", *options, AXE], capture_output=True, text=True, timeout=100)
        if done.returncode and any(word in done.stderr for word in ("ENOTFOUND", "ETIMEDOUT", "EAI_AGAIN", "ECONN")):
            pytest.skip(f"npm has no network: {done.stderr.strip().splitlines()[0]}")
        assert done.returncode == 0, done.stderr
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the screenshots."""
    folder = Path(os.environ.get(PICTURES) or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Visitor(threading.Thread):
    """Asks a stack for pages without pause: most are answered, some are slow, some fail, some are not there."""

    PAGES = ("/", "/", "/", "/report", "/", "/nowhere", "/", "/broken")

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._over = threading.Event()

    def run(self) -> None:
        """Ask."""
        while True:
            for page in self.PAGES:
                if self._over.wait(0.01):
                    return
                try:
                    urllib.request.urlopen(f"{self._url}{page}", timeout=10).read()
                except urllib.error.HTTPError as error:
                    error.close()
                except OSError:
                    self._over.wait(0.1)

    def end(self) -> None:
        """Ask no more."""
        self._over.set()
        self.join(20)


@pytest.fixture(scope="module")
def host() -> Iterator[Any]:
    """A stack behind nginx that is asked for pages; ``url`` is of its status page."""
    host = hosts.Host()
    visitor = Visitor(f"http://127.0.0.1:{host.port}")
    try:
        host.release("r1", SHOP)
        host.release("r2", SHOP)
        host.start(host.state("r1"), nginx=True)
        host.wait_until_ready(nginx=True)
        visitor.start()
        yield host
    finally:
        if visitor.is_alive():
            visitor.end()
        host.clean_up()
