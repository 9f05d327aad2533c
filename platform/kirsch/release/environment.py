"""The Python environment of a release: named by a hash of what goes into it, made once, used by every release that
needs the same.

In the hash: the requirements file (with the files it includes), kirsch's own version and sources, the extras, the
Python that makes it. An environment counts only once its marker is written, so one that was cut short is made again.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kirsch.errors import DeployError
from kirsch.release.shell import Listener, Shell

MARKER = ".kirsch-environment"
INCLUDE = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]*(\S+)")


@dataclass(frozen=True)
class Environment:
    """An environment as it should be: where, of which Python, and what is installed in it."""

    path: str
    base_python: str
    digest: str
    requirements: str | None
    extras: tuple[str, ...]

    @property
    def python(self) -> str:
        """The interpreter inside."""
        return f"{self.path}/bin/python"


def hash_environment(
    *, requirements: Path | None, kirsch_digest: str, extras: tuple[str, ...], python_version: str
) -> str:
    """Return the name of the environment that these make: 16 hexadecimal digits."""
    whole = hashlib.sha256(f"{kirsch_digest}\0{','.join(extras)}\0{python_version}\0".encode())
    for path in _with_included(requirements) if requirements is not None else ():
        whole.update(path.read_bytes() + b"\0")
    return whole.hexdigest()[:16]


def is_ready(shell: Shell, environment: Environment) -> bool:
    """Is the environment whole on the host?"""
    return shell.read(f"{environment.path}/{MARKER}") is not None


def make_environment(
    shell: Shell,
    environment: Environment,
    wheel: str,
    *,
    cwd: str,
    env: Mapping[str, str],
    listener: Listener | None = None,
) -> None:
    """Make the environment on the host and install the release's requirements and *wheel* (kirsch itself) into it, in
    one run of pip.

    *cwd* is the directory that relative paths in the requirements start from.

    Raises:
        DeployError: the environment cannot be made or a package cannot be installed; the reason is in its report.
    """
    shell.remove(environment.path)
    installer = _make_bare(shell, environment, env)
    extras = f"[{','.join(environment.extras)}]" if environment.extras else ""
    argv = [
        *installer,
        "install",
        "-qq",  # errors only: a warning of pip's is nothing that a deploy could act on
        "--no-input",
        "--disable-pip-version-check",
        "--no-warn-script-location",
    ]
    if environment.requirements is not None:
        argv += ["--requirement", environment.requirements]
    ran = shell.run([*argv, f"{wheel}{extras}"], cwd=cwd, env=env, listener=listener)
    if ran.status:
        raise DeployError(
            f"the packages cannot be installed: pip ended with status {ran.status}", output=ran.last_lines()
        )
    shell.write(f"{environment.path}/{MARKER}", environment.digest.encode() + b"\n")


def _make_bare(shell: Shell, environment: Environment, env: Mapping[str, str]) -> list[str]:
    """Make the empty environment and return the command that is pip for it.

    PERF: a pip of its own costs 4 s of copying for every environment, so the pip that runs beside this Python is used
    where there is one.
    """
    outside = [environment.base_python, "-m", "pip", "--python", environment.python]
    has_pip = not shell.run([environment.base_python, "-m", "pip", "--version"], env=env).status
    argv = [environment.base_python, "-m", "venv", *(["--without-pip"] if has_pip else []), environment.path]
    ran = shell.run(argv, env=env)
    if ran.status:
        raise DeployError(
            f"`{' '.join(argv)}` ended with status {ran.status} (on Debian: is the package python3-venv there?)",
            output=ran.last_lines(),
        )
    return outside if has_pip else [environment.python, "-m", "pip"]


def clean_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what of *environ* a deploy hands on to the programs that it starts: enough to find programs, home,
    language and certificates.

    What an application needs it gets from its `env` in kirsch.toml: not from whatever terminal the deploy was started
    in, since a worker that is born a week later would not have it.
    """
    exact = {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "XDG_RUNTIME_DIR",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "KIRSCH_NGINX",
    }
    kept = {name: value for name, value in environ.items() if name in exact or name.startswith("LC_")}
    return {"PATH": os.defpath, "PYTHONUNBUFFERED": "1", **kept}


def installer_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what pip gets of *environ*: the same, and all that tells it about indexes, proxies and caches."""
    wanted = ("PIP_", "XDG_")
    proxies = {"http_proxy", "https_proxy", "no_proxy", "all_proxy", "requests_ca_bundle", "curl_ca_bundle"}
    extra = {name: value for name, value in environ.items() if name.startswith(wanted) or name.lower() in proxies}
    return {**clean_environ(environ), **extra}


def python_version() -> str:
    """Return the version of the Python that is running, as exact as compiled packages need it."""
    return f"{sys.implementation.cache_tag}-{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"


def _with_included(requirements: Path, seen: frozenset[Path] = frozenset()) -> list[Path]:
    """Return a requirements file and the files that it includes, in order, each once."""
    found = [requirements]
    for line in requirements.read_text(encoding="utf-8").splitlines():
        match = INCLUDE.match(line)
        if match is None:
            continue
        path = requirements.parent / match[1]
        if path.is_file() and path not in seen and path not in found:
            found += _with_included(path, seen | frozenset(found))
    return found
