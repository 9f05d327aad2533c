"""The keys that say how a pool's workers live, from kirsch.toml to the spec."""

from __future__ import annotations

from pathlib import Path

import pytest

from kirsch.errors import SpecError
from kirsch.spec import load_stack
from kirsch.spec.pool import Limits, Rolling, Scaling

STACK = '[stack]\nname = "shop"\n[app.shop]\nentry = "shop:Root"\n[pool.web]\n'


def test_every_key_is_read(tmp_path: Path) -> None:
    """Tables and single keys, with units in their names."""
    path = tmp_path / "kirsch.toml"
    path.write_text(
        f"{STACK}roll = {{ parallel = 2, min_ready = 1, bake_s = 0, standby = true }}\n"
        'limits = { open_files = 4096, address_space = "2GiB", core = 0 }\n'
        "scale = { auto = false, up_at = 0.5 }\nnice = 5\ncpus = [0, 1]\npin = true\nmax_lifetime_s = 86400\n"
        'hold_s = 5\nhold_limit = 10\nquarantine_s = 9\nuser = "shop"\ngroup = "www"\n'
    )
    pool = load_stack(path).pools["web"]

    assert pool.roll == Rolling(parallel=2, min_ready=1, bake_s=0, standby=True)
    assert (pool.limits.open_files, pool.limits.address_space, pool.limits.core) == (4096, 2 * 2**30, 0)
    assert (pool.scale.auto, pool.scale.up_at, pool.nice, pool.cpus, pool.pin) == (False, 0.5, 5, (0, 1), True)
    assert (pool.max_lifetime_s, pool.hold_s, pool.hold_limit, pool.quarantine_s) == (86400, 5, 10, 9)
    assert (pool.user, pool.group) == ("shop", "www")


def test_defaults_are_safe(tmp_path: Path) -> None:
    """Successors are ready first, the old ones stay for the bake, and the number follows the load."""
    path = tmp_path / "kirsch.toml"
    path.write_text(f"{STACK}workers = 2\n")
    pool = load_stack(path).pools["web"]

    assert (pool.roll, pool.scale, pool.limits) == (Rolling(), Scaling(), Limits())
    assert pool.roll.min_ready is None
    assert pool.roll.bake_s > 0


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("roll = { bake_s = -1 }", "pool.web.roll.bake_s"),
        ("roll = { paralel = 1 }", "pool.web.roll.paralel"),
        ("scale = { up_at = 2 }", "pool.web.scale.up_at"),
        ("nice = 20", "pool.web.nice"),
        ("max_lifetime_s = 0", "pool.web.max_lifetime_s"),
    ],
)
def test_wrong_values_are_named(tmp_path: Path, line: str, key: str) -> None:
    """With the path of the key."""
    path = tmp_path / "kirsch.toml"
    path.write_text(f"{STACK}{line}\n")
    with pytest.raises(SpecError) as caught:
        load_stack(path)

    assert [problem.key for problem in caught.value.problems] == [key]
