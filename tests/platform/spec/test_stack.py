"""A stack in JSON, as supervisor, workers and deploys hand it on."""

from __future__ import annotations

import json

import msgspec
import pytest

from kirsch.spec import (
    App,
    Bytes,
    Listen,
    Pool,
    Stack,
    Tls,
    Vhost,
    Workers,
    dump_json,
    stack_from_data,
    stack_from_json,
)


def shop() -> Stack:
    """A stack with something in every corner."""
    return Stack(
        name="shop",
        apps={"shop": App(name="shop", entry="shop:Root", config={"/": {"a": [1, None]}}, env={"A": "b\nc"})},
        pools={"web": Pool(name="web", workers=Workers(min=2, max=3), memory_hard=Bytes(2**30))},
        vhosts={"main": Vhost(name="main", tls=Tls(certificate="a", key="b"), apps=("shop",))},
    )


def test_a_stack_survives_json() -> None:
    """Nothing is lost, sizes stay sizes."""
    again = stack_from_json(dump_json(shop()))

    assert again == shop()
    assert isinstance(again.pools["web"].memory_hard, Bytes)
    assert stack_from_data(json.loads(dump_json(shop()))) == shop()


def test_json_of_another_shape_is_refused() -> None:
    """A file of another version does not pass for a stack."""
    data = json.loads(dump_json(shop())) | {"surprise": 1}

    with pytest.raises(msgspec.ValidationError, match="surprise"):
        stack_from_data(data)


def test_dump_json_takes_spec_objects_inside_plain_data() -> None:
    """What stands in run/stack.json beside the stack."""
    listen = Listen(address="::1", port=80)

    assert json.loads(dump_json({"listen": [listen], "size": Bytes(3)})) == {
        "listen": [{"address": "::1", "port": 80, "tls": False, "proxy": False}],
        "size": 3,
    }


def test_dump_json_refuses_what_json_cannot_say() -> None:
    """No silent text for an unknown object."""
    with pytest.raises(NotImplementedError):
        dump_json({"x": object()})


def test_a_stack_moves_without_changing() -> None:
    """Other addresses and another folder give a new stack, the old one is frozen."""
    stack = shop()

    moved = stack.with_listen({"main": (Listen(address="127.0.0.1", port=1),)}).with_directory("/srv/releases/1")

    assert (moved.vhosts["main"].listen[0].port, moved.directory) == (1, "/srv/releases/1")
    assert stack == shop()
    with pytest.raises(AttributeError):
        stack.name = "other"  # type: ignore[misc]
