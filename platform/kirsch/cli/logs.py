"""`kirsch logs`: the logs of supervisor, workers and nginx, one after the other or as they grow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click

from kirsch.cli.place import Place, with_place
from kirsch.errors import DeployError

LOOK_EVERY_S = 0.25


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--follow", "-f", is_flag=True, help="Go on with new lines as they come; Ctrl-C ends it.")
@click.option("--lines", "-n", default=20, show_default=True, metavar="COUNT", help="How many last lines of each.")
@with_place
def logs(place: Place, names: tuple[str, ...], follow: bool, lines: int) -> None:
    """Print the last lines of the stack's logs: all of them, or those that a NAME begins.

    \b
    kirsch logs                  everything
    kirsch logs web nginx-error  the workers of the pool web, and nginx's errors
    """  # noqa: D301 (click wants the character itself)
    directory = Path(place.target.paths.log_dir)
    found = find_logs(directory, names)
    if not found:
        wanted = f" that begins with {' or '.join(names)}" if names else ""
        known = ", ".join(path.stem for path in find_logs(directory, ())) or "none"
        raise DeployError(f"no log{wanted} in {directory}; there are: {known}")
    offsets = {path: path.stat().st_size for path in found}
    width = max(len(path.stem) for path in found)
    for path in found:
        for line in last_lines(path, lines):
            show_line(path.stem, width, line)
    if follow:
        follow_logs(directory, names, offsets, width)


def find_logs(directory: Path, names: tuple[str, ...]) -> list[Path]:
    """Return the log files whose name begins with one of *names*, or all."""
    found = sorted(directory.glob("*.log")) if directory.is_dir() else []
    return [path for path in found if not names or path.stem.startswith(names)]


def last_lines(path: Path, count: int, block_bytes: int = 256 * 1024) -> list[str]:
    """Return the last *count* lines of a file, read from its end: logs may be large."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - block_bytes))
        text = file.read().decode("utf-8", "replace")
    return text.splitlines()[-count:] if count > 0 else []


def follow_logs(directory: Path, names: tuple[str, ...], offsets: dict[Path, int], width: int) -> None:
    """Print what is added to the logs, also to new ones, until interrupted."""
    while True:
        for path in find_logs(directory, names):
            for line in new_lines(path, offsets):
                show_line(path.stem, width, line)
        time.sleep(LOOK_EVERY_S)


def new_lines(path: Path, offsets: dict[Path, int]) -> Iterator[str]:
    """Yield the whole lines that came since the last look; a file that shrank (rotated) is read from its start."""
    offset = offsets.get(path, 0)
    with path.open("rb") as file:
        if file.seek(0, 2) < offset:
            offset = 0
        file.seek(offset)
        whole, newline, _ = file.read().rpartition(b"\n")
    offsets[path] = offset + len(whole) + len(newline)
    yield from whole.decode("utf-8", "replace").splitlines()


def show_line(name: str, width: int, line: str) -> None:
    """Print one line with the log's name in front."""
    click.echo(f"{click.style(name.ljust(width), dim=True)} {line}")
