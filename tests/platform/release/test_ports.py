"""Which address a vhost gets."""

from __future__ import annotations

import socket

import msgspec
import pytest

from kirsch.errors import SpecError
from kirsch.release.ports import Settled, is_free, settle_ports
from kirsch.spec import Host as SpecHost
from kirsch.spec import Inventory, Listen, Stack

HOSTS = {"local": SpecHost(name="local", connection="local")}


def settle(stack: Stack, taken: set[int], held: dict[str, str] | None = None, **inventory: object) -> Settled:
    """Settle with some ports taken."""
    given = Inventory(hosts=HOSTS, **inventory)  # type: ignore[arg-type]
    return settle_ports(stack, given, file="local.toml", held=held or {}, is_free=lambda one: one.port not in taken)


def test_free_port_is_taken_as_asked(stack: Stack) -> None:
    """Nothing to say."""
    settled = settle(stack, set())

    assert [str(one) for one in settled.listen["main"]] == ["127.0.0.1:8080"]
    assert settled.admin == "127.0.0.1:9180"
    assert settled.notes == ()


def test_exact_policy_refuses(stack: Stack) -> None:
    """The error names file, key, what was given and the cure; exit status 2."""
    with pytest.raises(SpecError) as caught:
        settle(stack, {8080}, port_policy="exact")

    (problem,) = caught.value.problems
    assert (problem.file, problem.key, problem.given) == ("local.toml", "vhost.main.listen", '"127.0.0.1:8080"')
    assert "next_free" in problem.allowed
    assert caught.value.exit_status == 2


def test_port_that_we_hold_is_kept(stack: Stack) -> None:
    """Even if it is not the one that was asked for, and even if that one is free by now."""
    settled = settle(stack, {8081}, {"127.0.0.1:8080": "127.0.0.1:8081"}, port_policy="next_free")

    assert settled.listen["main"][0].port == 8081
    assert settled.notes == ()


def test_vhosts_that_share_an_address_move_together(stack: Stack) -> None:
    """Two names on one port are still on one port when it is another one."""
    other = msgspec.structs.replace(stack.vhosts["main"], name="other", names=("other.example",))
    both = msgspec.structs.replace(stack, vhosts={**stack.vhosts, "other": other})
    settled = settle(both, {8080}, port_policy="next_free")

    assert {one.port for listens in settled.listen.values() for one in listens} == {8081}
    assert len(settled.notes) == 1


def test_two_addresses_never_get_one_port(stack: Stack) -> None:
    """The admin endpoint does not land on the port that a vhost has just been given."""
    settled = settle(stack, {8080}, port_policy="next_free", admin="127.0.0.1:8081")

    assert settled.listen["main"][0].port == 8081
    assert settled.admin == "127.0.0.1:8082"


def test_inventory_overrides_the_stack(stack: Stack) -> None:
    """The same stack listens elsewhere on another machine."""
    settled = settle(stack, set(), listen={"main": "0.0.0.0:80"})

    assert settled.listen["main"] == (Listen(address="0.0.0.0", port=80),)


def test_override_for_no_vhost_is_an_error(stack: Stack) -> None:
    """A typing error in the inventory does not vanish."""
    with pytest.raises(SpecError, match=r"listen\.mian"):
        settle(stack, set(), listen={"mian": "80"})


def test_bound_port_is_not_free() -> None:
    """Asked of the kernel."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        listen = Listen(address="127.0.0.1", port=server.getsockname()[1])
        assert not is_free(listen)

    assert is_free(listen)
