"""`kirsch logs`: the logs of supervisor, workers and nginx in one stream, by time, or as they grow."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from kirsch.cli.place import Place, with_place
from kirsch.errors import DeployError
from kirsch.observe.logs import ACCESS_LOG, LEVELS, Entry, Filter, join_lines, merge, parse_since

LOOK_EVERY_S = 0.25
#: nginx writes its access log once a second: what others said meanwhile waits for it.
HOLD_S = 1.2
BLOCK_BYTES = 256 * 1024
#: How far back is looked for what a filter wants.
SEARCH_BYTES = 64 * 2**20
STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--follow", "-f", is_flag=True, help="Go on with new lines as they come; Ctrl-C ends it.")
@click.option("--lines", "-n", default=20, show_default=True, metavar="COUNT", help="How many last ones of each log.")
@click.option("--pool", metavar="POOL", default="", help="Only workers of this pool.")
@click.option("--worker", metavar="WORKER", default="", help="Only this worker: web.1.")
@click.option("--level", type=click.Choice(LEVELS, case_sensitive=False), default=None, help="This one and worse.")
@click.option("--status", metavar="STATUS", default="", help="Only requests with this status: 502, 5xx.")
@click.option("--path", metavar="PATH", default="", help="Only requests whose path begins so.")
@click.option("--id", "request_id", metavar="ID", default="", help="Only this request, in every log.")
@click.option("--since", metavar="WHEN", default="", help="10m, 2h, 2026-11-21T21:00; all since then, not COUNT.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object an entry, for programs.")
@with_place
def logs(
    place: Place,
    names: tuple[str, ...],
    follow: bool,
    lines: int,
    pool: str,
    worker: str,
    level: str | None,
    status: str,
    path: str,
    request_id: str,
    since: str,
    as_json: bool,
) -> None:
    """Print what the stack logged, by time: everything, or the logs that a NAME begins.

    \b
    kirsch logs                  everything
    kirsch logs web nginx-error  the workers of the pool web, and nginx's errors
    kirsch logs -f --status 5xx  failed requests as they come
    kirsch logs --id 6f0c3c9f…   one request from nginx to the last traceback
    """  # noqa: D301 (click wants the character itself)
    directory = Path(place.target.paths.log_dir)
    found = find_logs(directory, names)
    if not found:
        wanted = f" that begins with {' or '.join(names)}" if names else ""
        known = ", ".join(path.stem for path in find_logs(directory, ())) or "none"
        raise DeployError(f"no log{wanted} in {directory}; there are: {known}")
    chosen = Filter(
        pool=pool,
        worker=worker,
        level=level or "",
        status=status,
        path=path,
        request_id=request_id,
        since=_moment(since),
    )
    is_filtered = chosen != Filter()
    tails = {file: Tail(file) for file in found}
    width = max(len(file.stem) for file in found)
    block = SEARCH_BYTES if is_filtered else BLOCK_BYTES
    past: list[Entry] = []
    for tail in tails.values():
        wanted_ones = [entry for entry in tail.past(block) if chosen.wants(entry)]
        past += wanted_ones if since else wanted_ones[-lines:] if lines > 0 else []
    show_entries(merge(past), width, as_json=as_json)
    if follow:
        follow_logs(directory, names, tails, chosen, width, as_json=as_json)


def find_logs(directory: Path, names: tuple[str, ...]) -> list[Path]:
    """Return the log files whose name begins with one of *names*, or all."""
    found = sorted(directory.glob("*.log")) if directory.is_dir() else []
    return [path for path in found if not names or path.stem.startswith(names)]


class Tail:
    """The end of one log, also after its rotation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._inode = 0
        self._last: Entry | None = None

    def past(self, block_bytes: int) -> list[Entry]:
        """Return the entries of the last *block_bytes* octets; what comes after them is new."""
        with self.path.open("rb") as file:
            end = file.seek(0, 2)
            start = max(0, end - block_bytes)
            file.seek(start)
            if start:
                file.readline()  # begun before
            whole, newline, rest = file.read(end - file.tell()).rpartition(b"\n")
            self._inode = os.fstat(file.fileno()).st_ino
            self._offset = file.tell() - len(rest)
        return self._entries((whole + newline).decode("utf-8", "replace").splitlines())

    def new(self) -> list[Entry]:
        """Return the entries whose lines came, whole, since the last look."""
        try:
            with self.path.open("rb") as file:
                inode, size = os.fstat(file.fileno()).st_ino, file.seek(0, 2)
                if inode != self._inode or size < self._offset:
                    self._inode, self._offset = inode, 0
                file.seek(self._offset)
                whole, newline, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return []  # between two files
        self._offset += len(whole) + len(newline)
        return self._entries((whole + newline).decode("utf-8", "replace").splitlines())

    def _entries(self, lines: Iterable[str]) -> list[Entry]:
        found = list(join_lines(self.path.stem, lines, self._last))
        dated = [entry for entry in found if entry.at is not None]
        self._last = dated[-1] if dated else self._last
        return found


def follow_logs(
    directory: Path, names: tuple[str, ...], tails: dict[Path, Tail], chosen: Filter, width: int, *, as_json: bool
) -> None:
    """Print what is added to the logs, also to new ones, until interrupted."""
    waiting: list[Entry] = []
    while True:
        for path in find_logs(directory, names):
            tail = tails.setdefault(path, Tail(path))
            waiting += [entry for entry in tail.new() if chosen.wants(entry)]
        has_access = any(path.stem.startswith(ACCESS_LOG) for path in tails)
        ripe = time.time() - (HOLD_S if has_access else 0.0)
        waiting = merge(waiting)
        show_entries((entry for entry in waiting if (entry.at or 0.0) <= ripe), width, as_json=as_json)
        waiting = [entry for entry in waiting if (entry.at or 0.0) > ripe]
        time.sleep(LOOK_EVERY_S)


def show_entries(entries: Iterable[Entry], width: int, *, as_json: bool) -> None:
    """Print entries: time, log, id, text; or JSON."""
    for entry in entries:
        if as_json:
            click.echo(entry.to_json())
            continue
        for line in _lines(entry, width):
            click.echo(line)


def _lines(entry: Entry, width: int) -> Iterator[str]:
    name = click.style(entry.source.ljust(width), dim=True)
    about = click.style(f"[{entry.request_id}] ", dim=True) if entry.request_id else ""
    when = ""
    if entry.at is not None:
        moment = time.strftime("%H:%M:%S", time.localtime(entry.at))
        when = click.style(f"{moment}.{int(entry.at % 1 * 1000):03d} ", dim=True)
    first, *rest = entry.text.split("\n")
    shown = click.style(first, fg=STYLES.get(entry.level))
    yield f"{name} {when}{about}{shown}"
    for line in rest:
        yield f"{name} {line}"


def _moment(since: str) -> float:
    if not since:
        return 0.0
    try:
        return parse_since(since, time.time())
    except ValueError as error:
        raise click.BadParameter(
            f"{since!r} is neither 10m, 2h30m nor 2026-11-21T21:00", param_hint="--since"
        ) from error
