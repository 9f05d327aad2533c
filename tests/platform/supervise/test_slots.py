"""Slots: who gets which, and links that move by one rename."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kirsch.spec import HostPaths
from kirsch.supervise.slots import Slots, spread

holders = st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1)
currents = st.dictionaries(st.integers(1, 20), st.sampled_from("abcdefghxyz"))


@given(slots=st.integers(1, 20), who=holders, current=currents)
def test_every_slot_has_a_holder_and_shares_are_even(slots: int, who: list[str], current: dict[int, str]) -> None:
    """Whatever was before: all slots are given, to living holders, none more than one above another."""
    given_slots = spread(slots, who, current)
    counts = Counter(given_slots.values())

    assert list(given_slots) == list(range(1, slots + 1))
    assert set(counts) <= set(who)
    assert max(counts[name] for name in who) - min(counts[name] for name in who) <= 1


@given(slots=st.integers(1, 20), who=holders, current=currents)
def test_a_settled_spread_does_not_move(slots: int, who: list[str], current: dict[int, str]) -> None:
    """Asking again changes nothing: a link that need not move is not moved."""
    settled = spread(slots, who, current)

    assert spread(slots, who, settled) == settled


def test_a_death_moves_only_the_slots_of_the_dead() -> None:
    """Connections to the others keep their names."""
    assert spread(4, ["a", "c"], {1: "a", 2: "b", 3: "c", 4: "b"}) == {1: "a", 2: "a", 3: "c", 4: "c"}


def test_nobody_gets_nothing() -> None:
    """Without holders there is nothing to give."""
    assert spread(3, [], {1: "a"}) == {}


def make_slots(tmp_path: Path, count: int = 3) -> Slots:
    paths = HostPaths(root=str(tmp_path), run=str(tmp_path))
    os.makedirs(paths.slots, exist_ok=True)
    return Slots(paths, "web", count)


def test_links_point_where_they_are_told(tmp_path: Path) -> None:
    """Links are relative, and only those that change are moved."""
    slots = make_slots(tmp_path)
    target = f"{tmp_path}/workers/web.1.77.sock"

    assert slots.point({1: target, 2: target}) == [1, 2]
    assert slots.point({1: target, 2: f"{tmp_path}/workers/web.2.78.sock"}) == [2]
    assert slots.targets() == {1: target, 2: f"{tmp_path}/workers/web.2.78.sock"}
    assert os.readlink(tmp_path / "slots/web.1.sock") == "../workers/web.1.77.sock"


def test_a_half_made_link_of_a_killed_supervisor_is_no_obstacle(tmp_path: Path) -> None:
    """What was left beside the name is replaced."""
    slots = make_slots(tmp_path)
    os.symlink("nowhere", tmp_path / "slots/web.1.sock.new")

    assert slots.point({1: f"{tmp_path}/workers/w.sock"}) == [1]


def test_removing_leaves_other_pools_alone(tmp_path: Path) -> None:
    """Only the pool's own links go, also those beyond its count."""
    slots = make_slots(tmp_path, 1)
    for name in ("web.1.sock", "web.9.sock", "webby.1.sock"):
        os.symlink("x", tmp_path / "slots" / name)
    slots.remove()

    assert os.listdir(tmp_path / "slots") == ["webby.1.sock"]
