"""The running kirsch as a wheel."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from kirsch.release.wheel import find_source, with_requirements, write_wheel


def test_equal_sources_make_equal_wheels(tmp_path: Path) -> None:
    """Two wheels of the same sources are the same file, byte for byte."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    source = find_source()

    assert write_wheel(source, tmp_path / "a").read_bytes() == write_wheel(source, tmp_path / "b").read_bytes()


def test_wheel_holds_all_that_a_worker_needs(tmp_path: Path) -> None:
    """Both packages, nginx's pages, metadata with the hash in its version, and no caches."""
    source = find_source()
    with zipfile.ZipFile(write_wheel(source, tmp_path)) as wheel:
        names = wheel.namelist()
        head = wheel.read(f"kirsch-{source.full_version}.dist-info/METADATA").decode()

    assert {"cherrypy/__init__.py", "kirsch/spec/stack.py", "kirsch/py.typed", "kirsch/nginx/pages/502.html"} <= set(
        names
    )
    assert {"cherrypy/py.typed", "cherrypy/_cptools.pyi", "cherrypy/favicon.ico", "cherrypy/scaffold/app.conf"} <= set(
        names
    )
    assert f"Version: {source.full_version}\n" in head
    assert "Requires-Dist: msgspec" in head
    assert not [name for name in names if "__pycache__" in name]


def test_requirements_are_those_of_the_checkout() -> None:
    """Also those that came after it was installed: they are in the hash, and so in the environment's name."""
    described = Path(__file__).parents[3] / "pyproject.toml"
    wanted = tomllib.loads(described.read_text(encoding="utf-8"))["project"]["dependencies"]
    head = find_source().metadata.partition("\n\n")[0].splitlines()
    said = [line.removeprefix("Requires-Dist: ") for line in head if line.startswith("Requires-Dist: ")]

    assert wanted == [one for one in said if "extra ==" not in one]


def test_requirements_take_the_place_of_older_ones(tmp_path: Path) -> None:
    """Extras and markers as installers read them; the description is left alone."""
    described = tmp_path / "pyproject.toml"
    described.write_text(
        '[project]\ndependencies = ["a>=1"]\n[project.optional-dependencies]\nx = ["b", "c; os_name == \'nt\'"]\n'
    )
    old = "Name: kirsch\nRequires-Dist: old\nProvides-Extra: y\n\nRequires-Dist: is a word of the text\n"

    assert with_requirements(old, described) == (
        "Name: kirsch\nRequires-Dist: a>=1\nProvides-Extra: x\nRequires-Dist: b; extra == 'x'\n"
        "Requires-Dist: c; (os_name == 'nt') and extra == 'x'\n\nRequires-Dist: is a word of the text\n"
    )


def test_installers_take_it(tmp_path: Path) -> None:
    """Pip installs it, without an index and without building anything."""
    path = write_wheel(find_source(), tmp_path)
    argv = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--target",
        str(tmp_path / "t"),
    ]
    ran = subprocess.run([*argv, str(path)], capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "t" / "kirsch" / "release" / "wheel.py").exists()
    assert (tmp_path / "t" / "bin" / "kirsch").exists()
