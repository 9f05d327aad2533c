"""What a request costs inside the framework, beside CherryPy 18, and stage by stage: no sockets, no server.

The contenders run in processes of their own (``inside.py``), in turn, on one core; the table shows medians of processor
time, and the ratio of the medians. The stages are those of the short way
(``app/plainpage.py``) and of the long one, which any page goes that is not plain.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import timeit
from collections.abc import Callable
from pathlib import Path
from time import time
from typing import Any

import cherry_app
from inside import PAGES, Message
from rich.console import Console
from rich.table import Table
from run import rival_python

import cherrypy
from cherrypy.app import plainpage
from cherrypy.app.application import announce_request
from cherrypy.app.route import TEXT
from cherrypy.app.server import Server
from cherrypy.context import serving
from cherrypy.core.rawheaders import RawHeaders
from cherrypy.core.response import plain_header_list

HERE = Path(__file__).resolve().parent
#: By page: microseconds on a machine where CherryPy 18 needs 350 for "Hello", and how many times less than it anywhere.
BUDGETS = {"hello": (8.0, 40), "json": (12.0, 40)}


def cost_us(call: Callable[[], Any], number: int) -> float:
    """Return the time of one *call*, the best of many rounds, in microseconds."""
    return min(timeit.repeat(call, number=number, repeat=30)) / number * 1e6


def short_stages(respond: Any, app: Any) -> list[tuple[str, Callable[[], Any]]]:
    """Return (name, function that does that stage alone) of a plain page on the short way."""
    message: Any = Message("/", "")
    for _ in range(3):
        respond(message)
    route, _ = respond._routes.find("/")
    assert route is not None, "the page does not go the short way"
    page = route.page_in(cherrypy.tree)
    arguments: Any = (route, (), None, message, "/", 0.0)

    def make() -> None:
        plainpage.make(respond._introduce_it, *arguments)
        serving.clear()

    def begin() -> None:
        announce_request()
        serving.__dict__["_unmade"] = arguments
        serving.__dict__.clear()

    return [
        ("find the route, and see that it holds", lambda: respond._routes.find("/")[0].page_in(cherrypy.tree)),
        ("announce a request, and forget it", begin),
        ("the page itself", page),
        ("encode, length, headers in bytes", lambda: plain_header_list(time(), TEXT, len(b"Hello, world!"))),
        ("access log that nobody reads", app.log.access),
        ("request and response, if someone looks at them", make),
    ]


def stages(respond: Any, app: Any) -> list[tuple[str, Callable[[], Any]]]:
    """Return (name, function that does that stage alone), with a prepared request in place."""
    message: Any = Message("/", "")
    respond(message)
    request, response = app.get_serving(None, None, "http", "HTTP/1.1")
    request._source = RawHeaders(Message.headers, "192.0.2.1")
    request._message = message
    request.run("GET", "/", "", "HTTP/1.1", request._source, message.body)
    dispatch = request.dispatch
    plan = request._plan

    def finalize() -> None:
        response.headers.pop("Content-Length", None)
        response.finalize()

    def handler() -> None:
        dispatch("/")
        request.handler()

    def serve_and_release() -> None:
        app.get_serving(None, None, "http", "HTTP/1.1")
        app.release_serving()
        serving.load(request, response)

    def hooks() -> None:
        request.handler = None
        for point in plan.points:
            if point in ("before_handler", "before_finalize"):
                request._run_hooks(point)

    return [
        ("new request and response, forget them", serve_and_release),
        ("are the plans still good", lambda: app.plans.refresh(type(request), app)),
        ("dispatch: walk, plan, handler", lambda: dispatch("/")),
        ("dispatch and the page itself", handler),
        ("hooks of the default tools", hooks),
        ("finalize: status, length, headers in bytes", finalize),
        ("access log that nobody reads", app.log.access),
        ("headers, if someone looks at them", RawHeaders(Message.headers, "192.0.2.1").parse),
    ]


def compare(rounds: int, number: int) -> dict[str, dict[str, float]]:
    """Return {contender: {page: microseconds}}: medians of all rounds, the contenders interleaved."""
    rival = rival_python()
    # the rival is 40 times slower: fewer calls, as much time
    contenders = {
        "CherryPy 18": [rival, "inside.py", "wsgi", "3", str(max(number // 40, 10))],
        "kirsch as WSGI": [sys.executable, "inside.py", "wsgi", "3", str(max(number // 4, 10))],
        "kirsch, native": [sys.executable, "inside.py", "native", "3", str(number)],
    }
    costs_us: dict[str, dict[str, list[float]]] = {name: {page: [] for page in PAGES} for name in contenders}
    for _ in range(rounds):
        for name, command in contenders.items():
            shown = subprocess.run(["taskset", "-c", "0", *command], cwd=HERE, check=True, capture_output=True).stdout
            for page, costs in json.loads(shown).items():
                costs_us[name][page] += costs
    return {name: {page: statistics.median(costs) for page, costs in pages.items()} for name, pages in costs_us.items()}


def show(medians: dict[str, dict[str, float]]) -> bool:
    """Print the comparison; True when every budget is met."""
    table = Table(title="inside the framework: processor time of one request")
    for heading in ("page", *medians, "times less", "budget"):
        table.add_column(heading, justify="left" if heading == "page" else "right")
    met = True
    for page in PAGES:
        costs = [medians[name][page] for name in medians]
        ratio = costs[0] / costs[-1]
        verdict = ""
        if page in BUDGETS:
            budget_us, least_ratio = BUDGETS[page]
            kept = costs[-1] <= budget_us and ratio >= least_ratio
            met = met and kept
            verdict = f"{budget_us:g} us, {least_ratio} x: {'met' if kept else 'missed'}"
        table.add_row(page, *(f"{cost:.1f} us" for cost in costs), f"{ratio:.0f} x", verdict)
    Console(width=110).print(table)
    return met


def main() -> None:
    """Print the comparison and the stages; exit 1 when a budget is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=8000, help="calls in a round")
    parser.add_argument("--rounds", type=int, default=11, help="processes of each contender")
    parser.add_argument("--no-rival", action="store_true", help="only the stages")
    options = parser.parse_args()
    met = options.no_rival or show(compare(options.rounds, options.number))
    cherrypy.config.update(cherry_app.QUIET)
    app = cherrypy.tree.mount(cherry_app.Root(), "/")
    respond: Any = Server.current_responder()
    number = options.number // 4
    for page, (path, query, _) in PAGES.items():
        message = Message(path, query)
        print(f"{cost_us(lambda message=message: respond(message), number):8.2f} us  {page}, the whole request")
    for way, list_stages in (("short", short_stages), ("long", stages)):
        print(f"          stages of the {way} way, for hello:")
        for name, stage in list_stages(respond, app):
            print(f"{cost_us(stage, number):8.2f} us    {name}")
    if not met:
        raise SystemExit("stage_cost: a budget is missed; see the table")


if __name__ == "__main__":
    main()
