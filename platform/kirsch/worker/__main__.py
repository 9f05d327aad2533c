"""``python -m kirsch.worker ORDER.json``: what a supervisor starts for each seat."""

from __future__ import annotations

import sys

from kirsch.worker.life import live

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m kirsch.worker ORDER.json")
    sys.exit(live(sys.argv[1]))
