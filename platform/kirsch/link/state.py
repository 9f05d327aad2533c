"""What a supervisor starts from: ``RUN/stack.json``, written by a deploy, read at the start and at every roll."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from kirsch.spec.paths import HostPaths
from kirsch.spec.stack import Stack, decode_special, dump_json

#: In the root: the state that ran last.
COPY = "stack.json"
PYTHON = "python"


class State(msgspec.Struct, kw_only=True, frozen=True):
    """A resolved stack (listen addresses settled, ``directory`` the release's folder) and the release that runs it."""

    stack: Stack
    release: str
    """Id of the release."""
    release_dir: str
    """Absolute folder of the release."""
    python: str
    """Interpreter of the release's environment: what workers run on."""
    admin: str | None = "127.0.0.1:9180"
    """Where the status page and the metrics are; None for nowhere."""


def load_state(path: str | Path) -> State:
    """Read the state file.

    Raises:
        OSError: it cannot be read.
        msgspec.MsgspecError: it is cut short, or written by another version.
    """
    return state_from_json(Path(path).read_bytes())


def state_from_json(data: bytes) -> State:
    """Return the state that :func:`state_to_json` wrote.

    Raises:
        msgspec.MsgspecError: it is no state.
    """
    return msgspec.json.decode(data, type=State, dec_hook=decode_special)


def state_to_json(state: State) -> bytes:
    """Return *state* as JSON."""
    return dump_json(state)


def keep_state(paths: HostPaths, state: State) -> None:
    """Keep a copy of the state in the root: the run directory is gone after the machine has started anew.

    Beside it, in ``python``, stands the interpreter that a supervisor is to be started with.
    """
    with contextlib.suppress(OSError):  # a full disk is no reason not to serve
        write_whole(f"{paths.root}/{COPY}", state_to_json(state))
        write_whole(f"{paths.root}/{PYTHON}", os.fsencode(state.python) + b"\n", mode=0o644)


def restore_state(paths: HostPaths) -> None:
    """Put the copy where a supervisor reads it, if there is one and nothing stands there."""
    copy = Path(paths.root, COPY)
    if copy.exists() and not os.path.exists(paths.state_file):
        write_whole(paths.state_file, copy.read_bytes())


def write_whole(path: str | Path, data: bytes, mode: int = 0o600) -> None:
    """Put *data* in place of a file from one instant to the next: a reader sees the old or the new, never a part."""
    beside = f"{path}.{os.getpid()}.new"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
