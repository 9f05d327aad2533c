"""The running kirsch, packed as a wheel for the environment of a release.

A release must run on the very kirsch that deploys it, be that installed from an index or the working tree of somebody
who is changing it, and it must not need a network or a build tool for that. So the wheel is written from what is
imported right now: two pure Python packages, and the metadata that the installation brought with it; in a checkout
with the requirements that its pyproject.toml has now, which may be younger than the installation. Its version carries
a hash of the sources: "0.1.0+3f2a9c81d04e".
"""

from __future__ import annotations

import base64
import hashlib
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from kirsch.errors import DeployError

PACKAGES = ("cherrypy", "kirsch")
DISTRIBUTION = "kirsch"
# Zip files cannot hold a time before 1980; a fixed one makes equal sources equal wheels.
FIXED_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Source:
    """What goes into the wheel: pairs of name in the wheel and file here, the metadata's text, and the hash of it
    all.
    """

    files: tuple[tuple[str, Path], ...]
    metadata: str
    entry_points: str
    version: str
    digest: str

    @property
    def wheel_name(self) -> str:
        """The file name that installers expect."""
        return f"{DISTRIBUTION}-{self.full_version}-py3-none-any.whl"

    @property
    def full_version(self) -> str:
        """The distribution's version with the sources' hash as its local part."""
        public = self.version.partition("+")[0]
        return f"{public}+{self.digest[:12]}"


def find_source() -> Source:
    """Find the files and the metadata of the kirsch that is running.

    Raises:
        DeployError: it runs from a folder and was never installed, so nothing tells what it depends on.
    """
    try:
        installed = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError as error:
        raise DeployError(
            "kirsch runs without having been installed: `pip install -e .` in its checkout, then deploy again"
        ) from error
    files = tuple(sorted(_package_files(), key=lambda pair: pair[0]))
    text = installed.read_text("METADATA") or ""
    described = _description_of_checkout()
    if described is not None:
        text = with_requirements(text, described)
    entry_points = installed.read_text("entry_points.txt") or ""
    whole = hashlib.sha256(f"{text}\0{entry_points}\0".encode())
    for name, path in files:
        whole.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return Source(files, text, entry_points, installed.version, whole.hexdigest())


def write_wheel(source: Source, directory: Path) -> Path:
    """Write the wheel into *directory* and return its path. Equal sources give equal bytes."""
    path = directory / source.wheel_name
    info = f"{DISTRIBUTION}-{source.full_version}.dist-info"
    contents: list[tuple[str, bytes]] = [(name, file.read_bytes()) for name, file in source.files]
    contents += [
        (f"{info}/METADATA", _with_version(source.metadata, source.full_version).encode()),
        (f"{info}/WHEEL", b"Wheel-Version: 1.0\nGenerator: kirsch\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        (f"{info}/entry_points.txt", source.entry_points.encode()),
    ]
    record = f"{info}/RECORD"
    lines = [f"{name},sha256={_record_hash(content)},{len(content)}" for name, content in contents] + [f"{record},,"]
    contents.append((record, ("\n".join(lines) + "\n").encode()))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as wheel:
        for name, content in contents:
            wheel.writestr(zipfile.ZipInfo(name, FIXED_TIME), content, zipfile.ZIP_DEFLATED)
    return path


def with_requirements(text: str, described: Path) -> str:
    """Return the metadata *text* with the requirements and extras of *described*, a pyproject.toml, for its own."""
    project = tomllib.loads(described.read_text(encoding="utf-8"))["project"]
    head, blank, description = text.partition("\n\n")
    lines = [line for line in head.splitlines() if not line.startswith(("Requires-Dist:", "Provides-Extra:"))]
    lines += [f"Requires-Dist: {one}" for one in project.get("dependencies", ())]
    for extra, wanted in sorted(project.get("optional-dependencies", {}).items()):
        lines.append(f"Provides-Extra: {extra}")
        for one in wanted:
            requirement, semicolon, marker = one.partition(";")
            condition = f"({marker.strip()}) and " if semicolon else ""
            lines.append(f"Requires-Dist: {requirement.strip()}; {condition}extra == '{extra}'")
    return "\n".join(lines) + blank + description


def _description_of_checkout() -> Path | None:
    """Return the pyproject.toml of the checkout that kirsch runs from; None if it is installed."""
    spec = find_spec(DISTRIBUTION)
    if spec is None or not spec.origin:
        return None
    found = Path(spec.origin).parents[2] / "pyproject.toml"
    return found if found.is_file() and f'name = "{DISTRIBUTION}"' in found.read_text(encoding="utf-8") else None


def _package_files() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        spec = find_spec(package)
        if spec is None or not spec.origin:
            raise DeployError(f"the package {package} cannot be found beside kirsch: install kirsch again")
        top = Path(spec.origin).parent
        yield from _files_under(top, package)
        yield from _pages_of_checkout(top, package)


def _pages_of_checkout(top: Path, package: str) -> Iterator[tuple[str, Path]]:
    """In a checkout nginx's error pages lie at its top; in an installed kirsch, as in the wheel, inside the package."""
    pages = top.parents[1] / "nginx" / "pages"
    if package == "kirsch" and not (top / "nginx" / "pages").exists() and pages.is_dir():
        yield from _files_under(pages, "kirsch/nginx/pages")


def _files_under(top: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    for path in top.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in {".pyc", ".pyo"}:
            yield f"{prefix}/{path.relative_to(top).as_posix()}", path


def _with_version(text: str, version: str) -> str:
    """Replace the Version field in the head of *text*; the description after the first empty line is left alone."""
    head, blank, description = text.partition("\n\n")
    lines = [f"Version: {version}" if line.startswith("Version:") else line for line in head.splitlines()]
    return "\n".join(lines) + blank + description


def _record_hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
