"""Make a virtual environment with pip in it, on machines that make that hard: `python3 deploy/make_venv.py .venv`.

Debian and Ubuntu keep `ensurepip` in a package of its own (python3-venv). As root that package is installed;
otherwise pip's own wheel is fetched from the package index, checked against the index's hash, and installs itself.
Standard library only: it runs before anything else exists.
"""

from __future__ import annotations

import hashlib
import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

LEAST = (3, 11)
WHEEL_LINK = re.compile(r'href="([^"]*/pip-([0-9.]+)-py3-none-any\.whl)(?:#sha256=([0-9a-f]{64}))?"')


def main(argv: list[str]) -> int:
    """Make the environment named on the command line; the exit status is 2 for a Python that is too old, 1 if it
    cannot be made.
    """
    if sys.version_info < LEAST:
        say(f"Python {sys.version.split()[0]} is too old: {LEAST[0]}.{LEAST[1]} is needed (make PYTHON=python3.12 …)")
        return 2
    path = Path(argv[1])
    if has_pip(path):
        return 0
    if has_ensurepip() or (os.geteuid() == 0 and install_debian_package() and has_ensurepip()):
        return subprocess.call([sys.executable, "-m", "venv", "--clear", str(path)])
    say("ensurepip is missing and cannot be installed without root: taking pip from the package index")
    status = subprocess.call([sys.executable, "-m", "venv", "--clear", "--without-pip", str(path)])
    return status or install_pip(path)


def say(line: str) -> None:
    """Tell the user one thing."""
    sys.stderr.write(f"{line}\n")


def has_pip(venv: Path) -> bool:
    """Is there an environment with pip already? Then it is left as it is."""
    try:
        return not subprocess.call(
            [str(venv / "bin" / "python"), "-m", "pip", "--version"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return False


def has_ensurepip() -> bool:
    """Can `python -m venv` put pip into an environment? Asked of a new process: one may just have come."""
    return not subprocess.call([sys.executable, "-c", "import ensurepip"], stderr=subprocess.DEVNULL)


def install_debian_package() -> bool:
    """Install the package that holds ensurepip, where there is apt."""
    if shutil.which("apt-get") is None:
        return False
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    say(f"installing {package}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.call(["apt-get", "update", "-qq"], env=quiet)
    return not subprocess.call(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package], env=quiet)


def install_pip(venv: Path) -> int:
    """Fetch pip's wheel, check it, and let it install itself into *venv*."""
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/pip/"
    try:
        with urllib.request.urlopen(index, timeout=60) as answer:
            link, digest = newest_pip(answer.read().decode("utf-8", "replace"))
        with urllib.request.urlopen(urllib.parse.urljoin(index, link), timeout=60) as answer:
            content = answer.read()
    except (OSError, LookupError) as error:
        say(f"pip cannot be fetched from {index}: {error}. As root: apt-get install python3-venv")
        return 1
    if digest and hashlib.sha256(content).hexdigest() != digest:
        say(f"pip from {index} is not what the index says it is: its hash differs")
        return 1
    with tempfile.TemporaryDirectory() as directory:
        wheel = Path(directory) / link.rpartition("/")[2]
        wheel.write_bytes(content)
        # a wheel is a zip file, and Python runs a package inside of a zip file
        return subprocess.call(
            [str(venv / "bin" / "python"), f"{wheel}/pip", "install", "--quiet", "--no-index", str(wheel)]
        )


def newest_pip(page: str) -> tuple[str, str]:
    """Return link and SHA-256 (may be empty) of the newest pip on an index page; LookupError if there is none."""
    found = [
        (tuple(map(int, version.strip(".").split("."))), html.unescape(link), digest)
        for link, version, digest in WHEEL_LINK.findall(page)
    ]
    if not found:
        raise LookupError("no wheel of pip is listed there")
    _, link, digest = max(found)
    return link, digest


if __name__ == "__main__":
    sys.exit(main(sys.argv))
