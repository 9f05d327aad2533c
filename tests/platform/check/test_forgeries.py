"""What is said of an answer to a forged request."""

from __future__ import annotations

import pytest

from kirsch.check.forgeries import ADDRESS, FORGERIES, HOST, Forgery, judge, request_octets
from kirsch.link.belief import Belief

TRUTH = Belief(
    base="http://shop.example",
    remote="192.0.2.7",
    scheme="http",
    fields={"host": "shop.example", "x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "http"},
)
FOR = next(one for one in FORGERIES if one.name == "X-Forwarded-For")


def believed(**other: str) -> Belief:
    """The truth, but for *other*."""
    return Belief(
        **{"base": TRUTH.base, "remote": TRUTH.remote, "scheme": TRUTH.scheme, "fields": TRUTH.fields} | other
    )


@pytest.mark.parametrize(("key", "value"), [("remote", ADDRESS), ("base", f"http://{HOST}"), ("scheme", "https")])
def test_what_differs_from_the_truth_is_believed(key: str, value: str) -> None:
    """Whatever the fields say."""
    outcome = judge(FOR, TRUTH, believed(**{key: value}))

    assert (outcome.verdict, outcome.believed, outcome.is_good) == ("BELIEVED", (f"{key} {value}",), False)


def test_the_truth_in_spite_of_a_forgery_is_good() -> None:
    """The field that arrives is the proxy's."""
    outcome = judge(FOR, TRUTH, believed())

    assert (outcome.verdict, outcome.passed, outcome.is_good) == ("cleared", (), True)


@pytest.mark.parametrize("value", [ADDRESS, f"{ADDRESS}, 192.0.2.7"])
def test_what_arrives_as_it_was_sent_may_be_believed(value: str) -> None:
    """By code that looks into the field itself: replaced or cleared is the promise, appended is neither."""
    outcome = judge(FOR, TRUTH, Belief(**{**_plain(), "fields": {**TRUTH.fields, "x-forwarded-for": value}}))

    assert (outcome.verdict, outcome.passed, outcome.is_good) == ("passed on", (f"x-forwarded-for: {value}",), False)


def test_an_underscore_twin_is_its_twin() -> None:
    """WSGI cannot tell them apart."""
    twin = Forgery("x", (("X_Real_IP", ADDRESS),))
    outcome = judge(twin, TRUTH, Belief(**{**_plain(), "fields": {"x-real-ip": ADDRESS}}))

    assert not outcome.is_good


def test_a_field_of_some_network_may_pass() -> None:
    """Nobody believes it unless told to; then the belief differs."""
    cloud = next(one for one in FORGERIES if one.name == "CF-Connecting-IP")
    seen = Belief(**{**_plain(), "fields": {"cf-connecting-ip": ADDRESS}})

    assert judge(cloud, TRUTH, seen).is_good
    assert not judge(cloud, TRUTH, Belief(**{**_plain(), "fields": seen.fields, "remote": ADDRESS})).is_good


@pytest.mark.parametrize(("status", "verdict"), [(400, "refused"), (0, "refused"), (502, "unclear"), (200, "unclear")])
def test_an_answer_of_somebody_else(status: int, verdict: str) -> None:
    """Refused by nginx is good, a failure says nothing."""
    outcome = judge(FOR, TRUTH, status)

    assert outcome.verdict == verdict
    assert outcome.is_good == (verdict == "refused")


def test_requests_are_as_a_client_would_write_them() -> None:
    """One Host, the connection closed after the answer, the forged lines between."""
    forms = {one.name: request_octets(one, "/p", "shop.example:81", "http") for one in FORGERIES}

    assert request_octets(None, "/p", "h", "http").startswith(b"GET /p HTTP/1.1\r\nHost: h\r\n")
    assert b"\r\nX-Forwarded-Proto: https\r\n" in forms["X-Forwarded-Proto"]
    assert b"\r\nX-Forwarded-Proto: http\r\n" in request_octets(
        next(one for one in FORGERIES if one.name == "X-Forwarded-Proto"), "/", "h", "https"
    )
    assert forms["absolute form"].startswith(b"GET http://shop.example:81/p HTTP/1.1\r\nHost: forged.example:81\r\n")
    assert forms["PROXY line"].startswith(b"PROXY TCP4 ")
    assert forms["second Host"].count(b"\r\nHost: ") == 2
    assert b"\r\nX-Forwarded-For: \r\n 203" in forms["folded line"]
    assert all(
        octets.endswith(b"\r\n\r\n") and octets.lower().count(b"\nconnection:") == 1 for octets in forms.values()
    )


def test_each_has_a_name_and_something_to_show() -> None:
    """The table is read by people."""
    assert len({one.name for one in FORGERIES}) == len(FORGERIES)
    assert all(one.sent and one.sent.isprintable() for one in FORGERIES)


def _plain() -> dict[str, str]:
    return {"base": TRUTH.base, "remote": TRUTH.remote, "scheme": TRUTH.scheme}
