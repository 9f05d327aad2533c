"""What is Redis' own: how it goes away and comes back, and what it may not be trusted with."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kirsch.link.redis import RedisUplink

Wait = Callable[..., None]


@pytest.fixture
def own(request: pytest.FixtureRequest, make_redis: Callable[..., Any]) -> Iterator[Any]:
    """Three hosts and a Redis that may be killed."""
    world = make_redis()
    yield world
    world.close()


def test_while_redis_is_away_every_host_serves_itself(own: Any, eventually: Wait) -> None:
    """It is said in receipts and to applications; leases of the cluster are not given, those of the host are; and
    everything heals by itself, with tokens that go on rising though Redis has lost its data.
    """
    first, second, third = own.join_many(3)
    told: list[str] = []
    first.bus.subscribe("cluster_degraded", told.append)
    for member in (first, second, third):
        member.subscribe_to("x", lambda: None)
    own.settle()
    before = first.take("job", ttl_s=1)
    whole = str(first.publish("x"))
    own.server.kill()
    eventually(lambda: all(member.degraded for member in (first, second, third)))
    alone = first.publish("x")
    refused = second.take("other")
    on_host = second.take("other", scope="host")
    own.server.start()
    eventually(lambda: not any(member.degraded for member in (first, second, third)), 30)
    eventually(lambda: str(first.publish("x")) == "3 of 3")
    taken: list[Any] = []
    eventually(lambda: taken or taken.append(third.take("job", ttl_s=1)) or taken[-1] or taken.clear())

    assert whole == "3 of 3"
    assert len(alone.delivered) == 1
    assert "Redis is away" in alone.degraded
    assert not alone
    assert refused is None
    assert on_host is not None
    assert not before.is_held
    assert taken[0].token > before.token
    eventually(lambda: len(told) >= 2)
    assert "Redis is away" in told[0]
    assert told[-1] == ""


def test_no_lease_is_given_right_after_redis_has_lost_them(own: Any, eventually: Wait) -> None:
    """Its holder may believe in it for as long as it was given for."""
    first, second = own.join("web.1"), own.join("web.2")
    own.redis.delete(f"kirsch:{own.stack}:born")
    settling = first.take("job", ttl_s=2)
    taken: list[Any] = []
    eventually(lambda: taken or taken.append(second.take("job", ttl_s=0.5)) or taken[-1] or taken.clear())

    held = own.hub("beta").uplink.held()
    taken[0].release()

    assert settling is None
    assert (held["job"].holder, held["job"].token) == (second.me.id, taken[0].token)
    assert own.hub("alpha").uplink.held() == own.hub("beta").uplink.held() == {}


def test_settings_reach_hosts_that_come_later(own: Any, eventually: Wait) -> None:
    """And those that were away."""
    member = own.join("web.1", host="alpha")
    hub = own.hub("alpha")

    async def set_() -> None:
        hub.set("flags", "cart", 100)
        await hub.uplink.keep_setting("flags", "cart", 100)

    own.run(set_())
    own.run(own.end_hub("gamma"))
    Path(own.folder, "gamma.json").unlink(missing_ok=True)
    own.run(own.start_hub("gamma"))
    late = own.join("web.3", host="gamma")
    eventually(lambda: late.flag("cart"))

    assert not member.flag("other")
    assert own.hub("gamma").settings == {"flags": {"cart": 100}}


def test_what_others_put_into_redis_is_dropped(own: Any, eventually: Wait) -> None:
    """Counted, and nothing else happens."""
    member = own.join("web.1", host="alpha")
    for wrong in (b"no json", b'{"op":"exec","host":"x"}', b'{"op":"presence"}'):
        own.redis.publish(f"kirsch:{own.stack}:all", wrong)
    eventually(lambda: own.hub("alpha").wrong["bad_frame"] == 3)

    assert [one.name for one in member.members] == ["web.1"]


def test_stacks_do_not_meet(own: Any, make_redis: Callable[..., Any]) -> None:
    """In one Redis each has keys of its own."""
    other = make_redis(own.server)
    mine, theirs = own.join("web.1"), other.join("web.1")
    heard: list[int] = []
    theirs.subscribe_to("x", heard.append)
    mine.subscribe_to("x", lambda number: None)
    other.settle()
    own.settle()
    receipt = mine.publish("x", 1)
    leases = mine.take("job"), theirs.take("job")
    other.close()

    assert str(receipt) == "1 of 1"
    assert heard == []
    assert all(leases)


def test_tls_and_password(make_redis: Callable[..., Any], tmp_path: Path) -> None:
    """By the URL alone; a wrong password is degraded mode, said as such."""
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    os.chmod(tmp_path / "server.pem", stat.S_IRUSR)
    world = make_redis(tls=tmp_path, password="geheim")
    first, second = world.join_many(2)
    second.subscribe_to("x", lambda: None)
    world.settle()
    receipt = str(first.publish("x"))
    hub = world.hub("alpha")

    async def try_wrong() -> str:
        wrong = RedisUplink(hub, world.url.replace("geheim", "falsch"), world.stack, lambda: None)
        wrong.start()
        while "Redis is away" not in wrong.degraded:
            await asyncio.sleep(0.01)
        await wrong.stop()
        return wrong.degraded

    problem = world.run(try_wrong())
    world.close()

    assert world.url.startswith("rediss://:geheim@")
    assert receipt == "1 of 1"
    assert "password" in problem
