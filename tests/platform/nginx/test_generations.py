"""Generations on disk: whole or not there, one link, the last few kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kirsch.errors import NginxError
from kirsch.nginx.generations import KEEP, KEEP_REFUSED, Generations
from kirsch.spec import HostPaths


@pytest.fixture
def generations(tmp_path: Path) -> Generations:
    """An empty folder of generations."""
    paths = HostPaths(str(tmp_path / "root"), str(tmp_path / "run"))
    os.makedirs(paths.nginx_generations)
    return Generations(paths)


def files(name: str, text: str = "daemon on;\n") -> dict[str, str]:
    """A small rendering under the number *name*."""
    return {"generation": f"{name}\n", "marker.conf": f"# {name}\n", "nginx.conf": text, "vhosts/main.conf": "# a\n"}


def test_numbers_go_up_and_are_never_used_twice(generations: Generations) -> None:
    """Also the refused ones count."""
    first = generations.write(files(generations.next()))
    second = generations.write(files(generations.next()))
    generations.refuse(second)

    assert (first, second, generations.next()) == ("000001", "000002", "000003")


def test_the_link_is_switched_in_one_step(generations: Generations) -> None:
    """From nothing to the first, to the second, back, and away."""
    for name in ("000001", "000002"):
        generations.write(files(name))
    seen = [generations.current()]
    for name in ("000001", "000002", "000001", None):
        generations.switch(name)
        seen.append(generations.current())

    assert seen == [None, "000001", "000002", "000001", None]


def test_a_link_into_the_void_is_no_generation(generations: Generations) -> None:
    """Somebody removed the folder: there is nothing good to go back to."""
    generations.switch("000009")

    assert generations.current() is None


def test_the_same_content_is_known_under_another_number(generations: Generations) -> None:
    """So that a deploy without a change of configuration reloads nothing."""
    name = generations.write(files("000001"))

    assert generations.holds(name, files("000002"))
    assert not generations.holds(name, files("000002", "daemon off;\n"))
    assert not generations.holds(name, {**files("000002"), "more.conf": ""})
    assert not generations.holds(name, {k: v for k, v in files("000002").items() if not k.startswith("vhosts")})


def test_files_can_be_read_by_owner_and_group_only(generations: Generations) -> None:
    """Nginx's user is in the group."""
    folder = generations.folder(generations.write(files("000001"), group=os.getgid()))
    modes = {path.name: path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))}

    assert modes.pop("000001") == modes.pop("vhosts") == 0o750
    assert set(modes.values()) == {0o640}


def test_a_number_is_never_written_twice(generations: Generations) -> None:
    """Two who rendered at once: the second must not overwrite what nginx reads by now."""
    generations.write(files("000001"))

    with pytest.raises(NginxError, match="render again"):
        generations.write(files("000001", "daemon off;\n"))
    assert generations.holds("000001", files("000001"))


@pytest.mark.parametrize("name", ["", "1", "../../x", "000001x"])
def test_a_number_that_is_none_is_refused(generations: Generations, name: str) -> None:
    """It becomes a folder's name."""
    with pytest.raises(ValueError, match="is not a generation"):
        generations.write(files(name))


def test_only_the_last_few_are_kept_and_never_the_current_one_removed(generations: Generations) -> None:
    """A rollback has somewhere to go, a disk does not fill."""
    names = [generations.write(files(generations.next())) for _ in range(KEEP + 3)]
    generations.switch(names[0])
    for _ in range(KEEP_REFUSED + 2):
        generations.refuse(generations.write(files(generations.next())))

    generations.prune()
    left = sorted(path.name for path in generations.folder("x").parent.iterdir())

    assert [name for name in left if not name.endswith(".refused")] == [names[0], *names[-KEEP:]]
    assert sum(name.endswith(".refused") for name in left) == KEEP_REFUSED
