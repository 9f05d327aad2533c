"""What an environment is named by, and how it is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from kirsch.errors import DeployError
from kirsch.release.environment import (
    Environment,
    clean_environ,
    hash_environment,
    installer_environ,
    is_ready,
    make_environment,
)
from kirsch.release.shell import Ran
from kirsch.release.target import Target


def name(requirements: Path | None, kirsch: str = "k", version: str = "3.11") -> str:
    """Hash with what matters here."""
    return hash_environment(requirements=requirements, kirsch_digest=kirsch, extras=(), python_version=version)


def test_name_follows_everything_that_goes_in(tmp_path: Path) -> None:
    """Other requirements, an included file, another kirsch, another Python: another environment."""
    (tmp_path / "requirements.txt").write_text("-r more.txt\nflask\n")
    (tmp_path / "more.txt").write_text("requests\n")
    path = tmp_path / "requirements.txt"
    first = name(path)
    (tmp_path / "more.txt").write_text("httpx\n")
    second = name(path)

    assert name(path) == second
    assert len({first, second, name(path, kirsch="other"), name(path, version="3.12"), name(None)}) == 5


def test_files_that_include_each_other_end(tmp_path: Path) -> None:
    """A circle of includes is read once."""
    (tmp_path / "a.txt").write_text("-r b.txt\n")
    (tmp_path / "b.txt").write_text("-c a.txt\n-r b.txt\n")

    assert name(tmp_path / "a.txt")


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """One to make."""
    return Environment(f"{tmp_path}/envs/abc", "/usr/bin/python3", "abc", "/src/requirements.txt", ("nginx",))


def test_environment_counts_once_it_is_whole(target: Target, environment: Environment) -> None:
    """Requirements and kirsch with its extras go in by one run of pip, then the marker is set."""
    assert not is_ready(target.shell, environment)
    make_environment(target.shell, environment, "/w/kirsch.whl", cwd="/", env={})

    assert is_ready(target.shell, environment)
    assert target.shell.ran[-1][-3:] == ["--requirement", "/src/requirements.txt", "/w/kirsch.whl[nginx]"]


def test_failed_installation_leaves_no_environment(target: Target, environment: Environment) -> None:
    """What pip said is in the error; the next deploy makes it anew."""
    target.shell.answers["install"] = Ran(1, "ERROR: No matching distribution found for flaks\n")

    with pytest.raises(DeployError) as caught:
        make_environment(target.shell, environment, "/w/kirsch.whl", cwd="/", env={})

    assert "flaks" in caught.value.output
    assert not is_ready(target.shell, environment)


def test_pip_comes_with_the_environment_where_there_is_none(target: Target, environment: Environment) -> None:
    """A Python without pip makes environments that have one."""
    target.shell.answers["pip --version"] = Ran(1, "No module named pip")
    make_environment(target.shell, environment, "/w/kirsch.whl", cwd="/", env={})

    assert target.shell.ran[-1][:3] == [environment.python, "-m", "pip"]


def test_terminal_of_the_deployer_is_not_handed_on() -> None:
    """What happens to be set there must not be in one worker and not in the next; pip is told about its index."""
    environ = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "SECRET": "x",
        "PYTHONPATH": "/here",
        "PIP_INDEX_URL": "u",
        "HTTPS_PROXY": "p",
    }

    assert set(clean_environ(environ)) == {"PATH", "LC_ALL", "PYTHONUNBUFFERED"}
    assert set(installer_environ(environ)) - set(clean_environ(environ)) == {"PIP_INDEX_URL", "HTTPS_PROXY"}
