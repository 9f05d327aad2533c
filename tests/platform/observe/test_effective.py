"""The configuration in effect: whole, in groups, without secrets."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.observe.effective import GROUPS_SHOWN, HIDDEN, Effective, describe_stack
from kirsch.spec import App, Pool, Stack, Vhost
from kirsch.spec.bus import Bus
from kirsch.spec.vhost import Listen


def stack(**app: Any) -> Stack:
    """A stack of one app."""
    return Stack(
        name="shop",
        apps={"shop": App(name="shop", entry=app.pop("entry", "shop.web:Root"), **app)},
        pools={"web": Pool(name="web")},
        vhosts={"main": Vhost(name="main", listen=(Listen(address="127.0.0.1", port=8080),), apps=("shop",))},
    )


def lines(found: Stack, group: str) -> dict[str, str]:
    return next(dict(one.lines) for one in describe_stack(found) if one.name == group)


def test_what_was_not_written_is_shown_too() -> None:
    """Defaults are in effect as well."""
    groups = [group.name for group in describe_stack(stack())]

    assert groups == ["stack", "app shop", "pool web", "vhost main"]
    assert lines(stack(), "pool web")["engine"] == "native"
    assert lines(stack(), "app shop")["mount"] == "/"
    assert lines(stack(), "stack")["name"] == "shop"


@pytest.mark.parametrize(
    ("app", "key"),
    [
        ({"env": {"SHOP_MODE": "s3cr3t"}}, "env.SHOP_MODE"),
        ({"config": {"/": {"tools.sessions.secret": "s3cr3t"}}}, "config./.tools.sessions.secret"),
        ({"config": {"shop": {"api_key": "s3cr3t"}}}, "config.shop.api_key"),
        ({"config": {"shop": {"db_password": "s3cr3t"}}}, "config.shop.db_password"),
        ({"config": {"/": {"tools.auth_digest.key": "s3cr3t"}}}, "config./.tools.auth_digest.key"),
        ({"config": {"shop": {"url": "postgres://shop:s3cr3t@db/shop"}}}, "config.shop.url"),
        ({"config": {"shop": {"line": "host=db password=s3cr3t"}}}, "config.shop.line"),
        ({"warm_up": ("/start?token=s3cr3t&page=1",)}, "warm_up"),
        ({"entry": 'shop.web:make("s3cr3t")'}, "entry"),
    ],
)
def test_secrets_are_not_in_it(app: dict[str, Any], key: str) -> None:
    """Variables, keys that sound secret, credentials inside of addresses and lines."""
    found = lines(stack(**app), "app shop")

    assert "s3cr3t" not in str(describe_stack(stack(**app)))
    assert HIDDEN in found[key] or found[key] == "shop.web:make(…)"


def test_the_redis_of_the_bus_keeps_its_password() -> None:
    """Its address is shown without it."""
    found = Stack(name="shop", apps={}, pools={}, vhosts={}, bus=Bus(url="redis://:s3cr3t@redis:6379/0"))

    assert lines(found, "stack")["bus.url"] == f"redis://{HIDDEN}@redis:6379/0"


def test_ten_thousand_vhosts_are_counted() -> None:
    """The page stays a page."""
    one = stack().vhosts["main"]
    many = Stack(name="shop", apps={}, pools={}, vhosts={f"v{number}": one for number in range(10_000)})
    groups = describe_stack(many)

    assert len(groups) == 2 + GROUPS_SHOWN
    assert groups[-1].more == 10_000 - GROUPS_SHOWN


def test_it_is_made_once_a_stack() -> None:
    """The same lines while the stack is the same."""
    effective, one = Effective(), stack()

    assert effective.of(one) is effective.of(one)
    assert effective.of(stack()) is not effective.of(one)
