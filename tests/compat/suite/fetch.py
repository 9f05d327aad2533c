"""Gets the released CherryPy and what its tests need from the package index, once a machine, into a cache folder.

Nothing of it belongs to this repository, and none of it is ever committed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

RELEASE = "CherryPy==18.10.0"
# The tests' own dependencies, and those of the package under test; no CherryPy among them.
PACKAGES = [
    "cheroot==11.1.2",
    "pytest",
    "pytest-forked",
    "pytest-services",
    "objgraph",
    "path",
    "portend",
    "more-itertools",
    "zc.lockfile",
    "jaraco.collections",
    "filelock",
    "python-memcached",
    "psutil",
    "pyOpenSSL",
    "requests",
    "requests-toolbelt",
    "Routes",
    "simplejson",
    "trustme",
    "httptools",
    "msgspec",
]


@dataclass(frozen=True)
class Cache:
    """The folder outside of every repository."""

    root: Path

    @property
    def python(self) -> Path:
        """The interpreter that runs the tests."""
        return self.root / "venv" / "bin" / "python"

    @property
    def release(self) -> Path:
        """The unpacked ``cherrypy`` package whose tests are run."""
        return self.root / "upstream" / "cherrypy"

    @property
    def tools(self) -> Path:
        """Programs that the tests look for on the PATH."""
        return self.root / "tools" / "bin"


def default_cache() -> Cache:
    """``$CONFORMANCE_HOME``, else a folder in the user's cache."""
    return Cache(Path(os.environ.get("CONFORMANCE_HOME") or Path.home() / ".cache" / "kirsch-conformance"))


def fetch(cache: Cache) -> None:
    """Fill *cache* with whatever is missing in it.

    Raises:
        subprocess.CalledProcessError: the package index cannot be reached.
    """
    cache.tools.mkdir(parents=True, exist_ok=True)
    if not cache.python.exists():
        print(f"making a virtual environment in {cache.root}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(cache.root / "venv")], check=True)
        _pip(cache, "install", *PACKAGES)
    if not cache.release.is_dir():
        wheels = cache.root / "wheel"
        _pip(cache, "download", "--no-deps", "--only-binary", ":all:", "-d", str(wheels), RELEASE)
        with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
            wheel.extractall(cache.root / "upstream")
    memcached = shutil.which("memcached")
    if memcached:
        # Run by root, memcached refuses to work without the name of another user.
        script = cache.tools / "memcached"
        script.write_text(f'#!/bin/sh\nexec {memcached} -u nobody "$@"\n')
        script.chmod(0o755)


def _pip(cache: Cache, verb: str, *arguments: str) -> None:
    subprocess.run([str(cache.python), "-m", "pip", verb, "--quiet", *arguments], check=True)
