"""Which host and folders a deploy goes to."""

from __future__ import annotations

from pathlib import Path

from kirsch.release.target import Target, find_target, local_inventory


def find(base: Path, **environ: str) -> Target:
    """The target of the stack "shop" beside *base*."""
    return find_target("shop", local_inventory(), file="kirsch.toml", base=base, environ=environ)


def link(target: Target, run: Path) -> None:
    """Do what a deploy does: make the run directory and the link in the root."""
    (run / "nginx").mkdir(parents=True)
    Path(target.paths.root).mkdir(parents=True)
    Path(target.paths.run_link).symlink_to(run)


def test_a_run_directory_is_found_from_another_login(tmp_path: Path) -> None:
    """The environment has changed since the deploy, the link in the root has not."""
    first = find(tmp_path)
    run = tmp_path / "elsewhere" / Path(first.paths.run).name
    link(first, run)

    assert find(tmp_path, XDG_RUNTIME_DIR="/run/user/4711").paths.run == str(run)


def test_a_run_directory_that_is_gone_is_not_looked_for(tmp_path: Path) -> None:
    """A restart of the machine empties /run: the environment decides again."""
    first = find(tmp_path)
    run = tmp_path / "elsewhere" / Path(first.paths.run).name
    link(first, run)
    (run / "nginx").rmdir()
    run.rmdir()

    assert find(tmp_path).paths.run == first.paths.run


def test_a_copied_root_gets_a_run_directory_of_its_own(tmp_path: Path) -> None:
    """Its link leads to the original's, whose name has another hash."""
    first = find(tmp_path / "one")
    run = tmp_path / "elsewhere" / Path(first.paths.run).name
    link(find(tmp_path / "two"), run)

    assert find(tmp_path / "two").paths.run != str(run)
