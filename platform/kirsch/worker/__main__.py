"""``python -m kirsch.worker ORDER.json``: what a supervisor starts for each seat, or as a template of workers."""

from __future__ import annotations

import sys

from kirsch.link.order import load_order
from kirsch.worker.life import live
from kirsch.worker.preload import serve_as_template

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m kirsch.worker ORDER.json")
    order = load_order(sys.argv[1])
    sys.exit(live(order) if order.template_fd is None else serve_as_template(order))
