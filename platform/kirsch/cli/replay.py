"""`kirsch replay`: failed requests that workers kept, listed, and sent once more to the workers of a generation."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from kirsch.cli.place import Place, with_place
from kirsch.cli.screen import open_console, show_table
from kirsch.cli.status import describe_age
from kirsch.errors import ControlError, DeployError
from kirsch.observe.captures import Capture, load_captures
from kirsch.observe.replay import SAFE_METHODS, Replayed, replay_capture
from kirsch.spec import HostPaths
from kirsch.supervise.client import ControlClient

ASK_S = 3.0
MARGIN_S = 5.0
ALIVE = ("ready", "standby", "drained")


@click.command(short_help="List failed requests, or send one once more.")
@click.argument("request_id", required=False, metavar="[ID]")
@click.option("--on", "generations", multiple=True, metavar="GENERATION", help="A number; default: all that live.")
@click.option("--force", is_flag=True, help="Also what is not GET, HEAD or OPTIONS: it may do again what it did.")
@with_place
def replay(place: Place, request_id: str | None, generations: tuple[str, ...], force: bool) -> None:
    """List the failed requests that workers kept, or send the one with ID to a worker of each GENERATION.

    The worker is asked by its own socket, whether nginx sends anybody there or not. Secrets are not kept, so they are
    not sent.

    \b
    kirsch replay
    kirsch replay 6f0c3c9f6a7c4f3a8d1f5a2b9e7c1d00 --on 4
    """  # noqa: D301 (click wants the character itself)
    paths = place.target.paths
    captures = load_captures(paths.workers)
    if request_id is None:
        show_captures(captures)
        return
    capture = next((one for one in captures if one.id == request_id), None)
    if capture is None:
        raise DeployError(f"no failed request {request_id} was kept in {paths.workers}; `kirsch replay` lists them")
    refuse_unsafe(capture, force=force)
    status = ControlClient(paths.control_socket, timeout_s=ASK_S).call("status")
    deadline_s = max((one.request_deadline_s for one in place.stack.pools.values()), default=60.0)
    console = open_console()
    if capture.is_redacted:
        console.print("[yellow]![/] secrets of it (passwords, cookies, tokens) were not kept, and are not sent")
    rows = [("was", capture.worker, capture.release, capture.status, f"{capture.duration_s:.3f} s", capture.exception)]
    for worker, path in choose_workers(capture, status, generations, paths):
        answer = _ask(capture, path, deadline_s + MARGIN_S)
        rows.append((f"generation {worker['generation']}", worker["name"], str(worker["release"]), *answer))
    show_table(console, f"{capture.method} {capture.target}", ("", "worker", "release", "status", "took", ""), rows)


def show_captures(captures: Sequence[Capture]) -> None:
    """Print what was kept, the newest first."""
    rows = [
        (one.id, describe_age(time.time() - one.at), one.status, f"{one.method} {one.target[:60]}", one.handler,
         one.exception[:80])
        for one in captures
    ]  # fmt: skip
    show_table(open_console(), "failed requests", ("id", "ago", "status", "request", "handler", "raised"), rows)


def refuse_unsafe(capture: Capture, *, force: bool) -> None:
    """Refuse what may change something, and what is not whole.

    Raises:
        DeployError: *force* is not given; with it only a body that was cut stops us.
    """
    if capture.method not in SAFE_METHODS and not force:
        raise DeployError(f"{capture.method} may do again what it did; --force sends it all the same")
    announced = next((value for name, value in capture.headers if name.lower() == "content-length"), "0")
    if capture.body_is_cut or (capture.body is None and announced not in ("", "0")):
        raise DeployError(
            f"its body of {announced} octets was not kept: pool.NAME.capture_body says how much is, up to 4 KiB"
        )


def choose_workers(
    capture: Capture, status: Mapping[str, Any], generations: Sequence[str], paths: HostPaths
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield a living worker of each generation of the request's pool, with its own socket.

    Raises:
        ControlError: nobody of a generation that was asked for lives.
    """
    pool = capture.worker.partition(".")[0]
    alive = [
        worker
        for one in status["pools"]
        if one["name"] == pool
        for worker in one["workers"]
        if worker["state"] in ALIVE and worker["pid"]
    ]
    by_generation = {str(worker["generation"]): worker for worker in alive}
    for name in generations or sorted(by_generation, key=int):
        if name not in by_generation:
            known = ", ".join(sorted(by_generation, key=int)) or "none"
            raise ControlError(
                f"no worker of generation {name} lives in pool {pool}; there are: {known}", kind="unknown"
            )
        worker = by_generation[name]
        seat = int(worker["name"].rpartition(".")[2])
        yield worker, paths.worker_socket(pool, seat, worker["pid"])


def _ask(capture: Capture, path: str, timeout_s: float) -> tuple[object, ...]:
    try:
        found: Replayed = replay_capture(capture, path, timeout_s)
    except OSError as error:
        return "-", "-", str(error)
    return found.status, f"{found.took_s:.3f} s", f"{found.begin} ({found.length} octets, id {found.id})"
