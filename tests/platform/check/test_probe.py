"""Which doors of a stack are asked, and what their findings come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from kirsch.check.forgeries import FORGERIES, judge
from kirsch.check.probe import Probing, doors_of, probe_stack, require_honesty, why_not_asked
from kirsch.errors import ForgeryBelieved
from kirsch.link.belief import Belief, token_file
from kirsch.spec import HostPaths, Stack, load_stack

STACK = """
[stack]
name = "s"
[app.a]
entry = "a:Root"
[app.b]
entry = "b:Root"
mount = "/b"
[vhost.main]
names = ["*.shop.example"]
listen = [{listen}]
{more}
[vhost.closed]
listen = ["127.0.0.1:8999"]
maintenance = true
"""


@pytest.fixture
def stack(tmp_path: Path, request: pytest.FixtureRequest) -> Stack:
    """Two apps; what the vhost says besides is the parameter."""
    listen, more = getattr(request, "param", ('"127.0.0.1:1"', ""))
    file = tmp_path / "kirsch.toml"
    file.write_text(STACK.format(listen=listen, more=more))
    return load_stack(file)


def test_every_app_has_a_door_at_every_address(stack: Stack) -> None:
    """A vhost under maintenance shows no app."""
    assert [door.url for door in doors_of(stack)] == [
        "http://any.shop.example:1/",
        "http://any.shop.example:1/b",
    ]


@pytest.mark.parametrize(
    ("stack", "word"),
    [
        (('"127.0.0.1:8080"', 'trusted_proxies = ["127.0.0.0/8"]'), "trusted_proxies"),
        (('"8080"', 'trusted_proxies = ["127.0.0.1"]'), "trusted_proxies"),
        (('"127.0.0.1:8080 proxy"', 'trusted_proxies = ["10.0.0.0/8"]'), "PROXY"),
        (('"127.0.0.1:8080"', 'trusted_proxies = ["10.0.0.0/8"]'), ""),
        (('"127.0.0.1:8080"', ""), ""),
    ],
    indirect=["stack"],
)
def test_whose_word_counts_cannot_forge(stack: Stack, word: str) -> None:
    """A balancer on the same host is believed, and so is what we send from there: that is no fault."""
    why = why_not_asked(stack, next(doors_of(stack)))

    assert word in why
    assert bool(why) == bool(word)


def test_where_nobody_answers_nothing_is_asked(stack: Stack, tmp_path: Path) -> None:
    """It is said; the token is gone afterwards."""
    paths = HostPaths(str(tmp_path), str(tmp_path))
    Path(paths.workers).mkdir()
    found = probe_stack(stack, paths)

    assert [(probing.why_not, probing.is_good) for probing in found] == [("nobody answers", True)] * 2
    assert list(Path(paths.workers).iterdir()) == []
    assert require_honesty(found) == 0


def test_one_believed_forgery_is_too_many(stack: Stack) -> None:
    """The error says where and by what."""
    truth = Belief(base="http://h", remote="192.0.2.7", scheme="http")
    lie = Belief(base="http://h", remote="203.0.113.66", scheme="http")
    good, bad = (judge(FORGERIES[0], truth, answer) for answer in (truth, lie))
    door = next(doors_of(stack))

    assert require_honesty([Probing(door, truth, (good,))]) == 1
    with pytest.raises(ForgeryBelieved) as caught:
        require_honesty([Probing(door, truth, (good, bad))])
    assert caught.value.lines == (
        "http://any.shop.example:1/: X-Forwarded-For: 203.0.113.66: BELIEVED remote 203.0.113.66",
    )


@pytest.mark.parametrize("token", ["", "../../etc/passwd", "0" * 31, "0" * 33, "G" * 32, "0" * 32 + "\n"])
def test_a_token_is_no_path(token: str) -> None:
    """SECURITY: it comes from outside."""
    assert token_file("/run", token) is None
    assert token_file("/run", "0" * 32) == f"/run/probe.{'0' * 32}"
