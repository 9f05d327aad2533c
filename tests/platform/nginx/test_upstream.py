"""A pool as nginx sees it."""

from __future__ import annotations

import pytest

from kirsch.nginx.directives import render
from kirsch.nginx.upstream import KEEPALIVE_TIMEOUT_S, pass_to, tries, upstream
from kirsch.spec import HostPaths, Pool, Workers

PATHS = HostPaths("/srv/shop", "/run/kirsch/shop-1")


def pool(smallest: int, largest: int) -> Pool:
    """A pool with so many workers."""
    return Pool(name="web", workers=Workers(min=smallest, max=largest), request_deadline_s=30)


def test_every_slot_up_to_the_maximum_is_listed() -> None:
    """Scaling moves links, never nginx."""
    text = render([upstream(pool(2, 3), PATHS)])

    assert [line.strip() for line in text.splitlines() if "server " in line] == [
        f"server unix:/run/kirsch/shop-1/slots/web.{slot}.sock max_fails=0;" for slot in (1, 2, 3)
    ]


def test_the_balancer_stands_before_keepalive() -> None:
    """Before 1.29.7 nginx refuses it the other way round."""
    text = render([upstream(pool(2, 2), PATHS)])

    assert text.index("least_conn") < text.index("keepalive ")


def test_nginx_closes_idle_connections_before_a_worker_would() -> None:
    """Otherwise a POST meets a connection that is just being closed."""
    assert f"keepalive_timeout {KEEPALIVE_TIMEOUT_S:g}s;" in render([upstream(pool(2, 2), PATHS)])


@pytest.mark.parametrize(
    ("smallest", "largest", "expected"), [(2, 2, 2), (2, 8, 5), (4, 8, 3), (3, 8, 4), (1, 1, 2), (8, 8, 2)]
)
def test_one_dead_worker_can_be_stepped_over(smallest: int, largest: int, expected: int) -> None:
    """One try more than it has slots, and no more than that."""
    assert tries(pool(smallest, largest)) == expected


def test_nginx_waits_longer_than_the_worker_may_take() -> None:
    """The worker's own answer to a request that took too long comes first."""
    text = render(pass_to(pool(2, 2)))

    assert "proxy_read_timeout 35s;" in text
    assert text.endswith("proxy_pass http://pool_web;\n")
