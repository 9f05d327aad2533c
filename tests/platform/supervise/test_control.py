"""The control socket: verbs, events on the way, errors with their kind."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from kirsch.errors import BootFailed, ControlError, NginxError
from kirsch.link.frame import decode_frame, encode_frame
from kirsch.supervise.client import ControlClient
from kirsch.supervise.control import ControlServer
from kirsch.supervise.events import Events


@pytest.fixture
def path() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="kc", dir="/tmp") as folder:
        yield f"{folder}/control.sock"


def talk(path: str, act: Callable[[ControlClient], Any]) -> Any:
    """Run a server with three verbs, and *act* in a thread as its client."""
    events = Events()

    async def roll(args: Mapping[str, Any]) -> Any:
        events.say("booting", worker="web.1")
        return {"echo": dict(args)}

    async def fail(args: Mapping[str, Any]) -> Any:
        if args.get("how") == "boot":
            raise BootFailed("no", worker="web.1", report={"step": "import", "traceback": "T"})
        if args.get("how") == "nginx":
            raise NginxError("refused", lines=["[emerg] x"])
        raise RuntimeError("a bug")

    async def look(args: Mapping[str, Any]) -> Any:
        events.say("hidden")
        return 1

    async def scene() -> Any:
        server = ControlServer(path, {"roll": roll, "fail": fail, "look": look}, events, frozenset({"look"}))
        await server.start()
        try:
            return await asyncio.to_thread(act, ControlClient(path, timeout_s=5))
        finally:
            await server.stop()

    return asyncio.run(scene())


def test_a_verb_answers_with_events_before(path: str) -> None:
    """Events come while the verb works, the result comes last."""
    messages = talk(path, lambda client: list(client.stream("roll", release="r1")))

    assert messages[0]["event"]["kind"] == "booting"
    assert messages[0]["event"]["worker"] == "web.1"
    assert messages[1:] == [{"result": {"echo": {"release": "r1"}}}]


def test_two_verbs_on_one_line(path: str) -> None:
    """Who asks again on the same connection is answered again."""

    def act(client: ControlClient) -> list[dict[str, Any]]:
        answers = []
        with socket.socket(socket.AF_UNIX) as line, line.makefile("rb") as replies:
            line.settimeout(10)
            line.connect(path)
            for number in range(2):
                line.sendall(encode_frame({"verb": "roll", "args": {"number": number}}))
                answers.append([decode_frame(replies.readline()) for _ in range(2)][-1])
        return answers

    assert talk(path, act) == [{"result": {"echo": {"number": 0}}}, {"result": {"echo": {"number": 1}}}]


def test_who_only_looks_hears_no_events(path: str) -> None:
    """The status is not drowned in the story of a roll."""
    assert talk(path, lambda client: list(client.stream("look"))) == [{"result": 1}]


@pytest.mark.parametrize(
    ("how", "kind", "report"),
    [
        ("boot", "roll_failed", {"step": "import", "traceback": "T"}),
        ("nginx", "roll_failed", {"step": "nginx", "output": "[emerg] x", "message": "refused"}),
        ("bug", "bug", {}),
    ],
)
def test_errors_carry_kind_and_report(path: str, how: str, kind: str, report: dict[str, Any]) -> None:
    """What went wrong arrives as data, and the server lives on."""

    def act(client: ControlClient) -> ControlError:
        with pytest.raises(ControlError) as caught:
            client.call("fail", how=how)
        assert client.is_reachable() is False  # there is no verb `ping` here
        assert client.call("look") == 1
        return caught.value

    error = talk(path, act)

    assert (error.kind, dict(error.report)) == (kind, report)


def test_the_socket_is_ours_alone(path: str) -> None:
    """Mode 0600 from the first moment; gone after the stop."""
    mode = talk(path, lambda client: stat.S_IMODE(os.stat(path).st_mode))

    assert mode == 0o600
    assert not os.path.exists(path)


def test_rubbish_is_answered_and_dropped(path: str) -> None:
    """A line that is no JSON gets an error, and costs its speaker the line."""

    def act(client: ControlClient) -> Any:
        import socket

        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(5)
            line.connect(path)
            line.sendall(b"hello\n")
            data = b""
            while piece := line.recv(4096):
                data += piece
        return decode_frame(data)

    assert talk(path, act)["error"]["kind"] == "bad_frame"


def test_nobody_there_is_an_error_of_its_own(path: str) -> None:
    """So that a command can say that nothing runs."""
    with pytest.raises(ControlError) as caught:
        ControlClient(path).call("status")

    assert caught.value.kind == "unreachable"
