"""Paths on a host: short enough for sockets, whatever the root is called."""

from __future__ import annotations

import pytest

from kirsch.errors import SpecError
from kirsch.spec import SOCKET_PATH_LIMIT_BYTES, HostPaths, run_dir_for

LONGEST_NAME = "p" * 32


@pytest.mark.parametrize(
    ("environ", "uid", "start"),
    [
        ({}, 0, "/run/kirsch/shop-"),
        ({"XDG_RUNTIME_DIR": "/run/user/1000"}, 0, "/run/kirsch/shop-"),
        ({"XDG_RUNTIME_DIR": "/run/user/1000/"}, 1000, "/run/user/1000/kirsch/shop-"),
        ({"XDG_RUNTIME_DIR": "relative"}, 1000, "/tmp/kirsch-1000/shop-"),
        ({}, 1000, "/tmp/kirsch-1000/shop-"),
    ],
)
def test_the_run_directory_is_where_the_user_may_write(environ: dict[str, str], uid: int, start: str) -> None:
    """Root has /run, a user has XDG_RUNTIME_DIR or a folder of his own in /tmp."""
    assert run_dir_for("/srv/shop", "shop", environ, uid).startswith(start)


def test_the_longest_names_fit_into_a_socket_address() -> None:
    """The root's length does not matter, and the longest pool name still fits."""
    run = run_dir_for("/srv/" + "x" * 500, "s" * 32, {"XDG_RUNTIME_DIR": "/run/user/4294967295"}, 4294967295)
    socket = HostPaths("/srv", run).worker_socket(LONGEST_NAME, 256, 4194304)

    assert len(socket) <= SOCKET_PATH_LIMIT_BYTES


def test_a_run_directory_that_is_too_long_is_refused() -> None:
    """The error says what to set."""
    with pytest.raises(SpecError) as caught:
        run_dir_for("/srv/shop", "shop", {"XDG_RUNTIME_DIR": "/very" * 12}, 1000)

    assert "XDG_RUNTIME_DIR" in str(caught.value)


def test_two_roots_never_share_a_run_directory() -> None:
    """The same stack may be deployed twice on one machine."""
    assert run_dir_for("/srv/a", "shop", {}, 0) != run_dir_for("/srv/b", "shop", {}, 0)
    assert run_dir_for("/srv/a", "shop", {}, 0) == run_dir_for("/srv/a", "shop", {}, 0)


def test_every_path_lies_below_root_or_run() -> None:
    """Nothing escapes, nothing meets."""
    paths = HostPaths("/srv/shop", "/run/kirsch/shop-1")
    names = [name for name in vars(HostPaths) if isinstance(getattr(HostPaths, name), property)]
    values = [getattr(paths, name) for name in names]

    assert all(value.startswith(("/srv/shop/", "/run/kirsch/shop-1/")) for value in values)
    assert len(set(values)) == len(values)
