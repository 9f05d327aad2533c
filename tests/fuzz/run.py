"""``make fuzz``: look for inputs that break the parser, the chunk reader or the PROXY protocol, guided by coverage.

Each target runs for its share of the time, from a corpus made of the vectors; what it learns is kept in
``.cache/fuzz``. An input that breaks something is written there, too, and the run ends with 1: make a vector of it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache" / "fuzz"
TARGETS = ("connection", "chunks", "proxy")
INPUT_BYTES = 16384


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one target in this process, until the time is over or something breaks; does not return."""
    import atheris  # only here: ordinary tests run the targets without it

    with atheris.instrument_imports(include=["cherrypy.httpd", "cherrypy.http"]):
        import target

    check: Callable[[bytes], None] = getattr(target, f"check_{name}")
    corpus = CACHE / name
    corpus.mkdir(parents=True, exist_ok=True)
    for seed, data in target.seeds().items():
        (corpus / f"seed-{seed}").write_bytes(data)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={INPUT_BYTES}",
        "-timeout=10",
        f"-artifact_prefix={CACHE}/{name}-",
    ]
    atheris.Setup([sys.argv[0], str(corpus), *options], check)
    atheris.Fuzz()


def main() -> None:
    """Run every target in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together")
    parser.add_argument("--target", choices=TARGETS, help="only this one, in this process")
    options = parser.parse_args()
    if options.target:
        fuzz(options.target, options.seconds)
        return
    for name in TARGETS:
        seconds = max(options.seconds // len(TARGETS), 1)
        print(f"fuzz: {name}, {seconds} s", flush=True)
        command = [sys.executable, __file__, "--target", name, "--seconds", str(seconds)]
        if subprocess.run(command).returncode:
            raise SystemExit(f"fuzz: {name} broke; the input lies in {CACHE}/{name}-*")


if __name__ == "__main__":
    main()
