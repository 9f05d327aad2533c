"""`deploy/make_venv.py`, which runs before anything of ours is installed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "deploy" / "make_venv.py"
FILES = "https://files.example/packages"


@pytest.fixture
def make_venv() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("make_venv", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_newest_pip_of_an_index_is_found(make_venv: ModuleType) -> None:
    """By version and not by the alphabet; sources and other packages do not count."""
    digest = "a" * 64
    page = "".join(
        f'<a href="{FILES}/{name}#sha256={digest}">{name}</a><br/>\n'
        for name in (
            "pip-9.0.3-py3-none-any.whl",
            "pip-24.1-py3-none-any.whl",
            "pip-25.0.tar.gz",
            "pipx-26.0-py3-none-any.whl",
        )
    )

    assert make_venv.newest_pip(page) == (f"{FILES}/pip-24.1-py3-none-any.whl", digest)


def test_index_without_pip_is_an_error(make_venv: ModuleType) -> None:
    """Said, and not a traceback about an empty list."""
    with pytest.raises(LookupError):
        make_venv.newest_pip("<html></html>")


def test_environment_that_works_is_left_alone(make_venv: ModuleType) -> None:
    """The one that these tests run in is one."""
    assert make_venv.has_pip(Path(sys.prefix))
    assert not make_venv.has_pip(Path("/nonexistent"))


def test_old_python_is_refused_in_words() -> None:
    """Exit status 2, with the version that is needed."""
    code = f"import sys; sys.version_info = (3, 9); sys.argv = ['x', '/none']; exec(open({str(SCRIPT)!r}).read())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert ran.returncode == 2
    assert "3.11 is needed" in ran.stderr
