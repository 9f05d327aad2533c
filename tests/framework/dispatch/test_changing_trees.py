"""Trees that change while they are asked: what is remembered must never show."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

import cherrypy
from cherrypy.core.plan import PlanCache

NAMES = ("a", "b", "c_d", "index", "default")
SEGMENTS = ("a", "b", "c-d", "c_d", "index", "default", "7")


class Node:
    """A node of a tree; each has a class of its own."""


def some_config(rng: random.Random, tag: str) -> dict[str, str] | None:
    """Return a ``_cp_config``, or none."""
    return {f"x.{rng.choice('klm')}": tag} if rng.random() < 0.5 else None


def page(rng: random.Random, tag: str) -> Any:
    """Return a page, exposed most of the time, that shows all that dispatch has decided."""

    def shows(self: Any = None, *args: str) -> str:
        request = cherrypy.request
        config = {key: value for key, value in sorted(request.config.items()) if key.startswith("x.")}
        return json.dumps([tag, args, request.is_index, request.path_info, config])

    made: Any = shows
    made.exposed = rng.random() < 0.75
    config = some_config(rng, f"page {tag}")
    if config:
        made._cp_config = config
    return made


def tree(rng: random.Random, depth: int, tag: str) -> Any:
    """Return a tree of nodes and pages."""
    content: dict[str, Any] = {}
    for name in NAMES:
        chance = rng.random()
        if chance < 0.3:
            content[name] = page(rng, f"{tag}.{name}")
        elif chance < 0.55 and depth:
            content[name] = tree(rng, depth - 1, f"{tag}.{name}")
    if rng.random() < 0.2:
        content["exposed"] = True
        content["__call__"] = lambda self, *args: f"called {tag} {args}"
    if rng.random() < 0.1:
        inner = tree(rng, 0, f"{tag}!")
        content["_cp_dispatch"] = lambda self, vpath: vpath.pop(0) and inner
    content["_cp_config"] = some_config(rng, f"node {tag}")
    return type("Node", (Node,), {key: value for key, value in content.items() if value is not None})()


def nodes_below(node: Any) -> list[Any]:
    """Return all nodes of a tree."""
    children = [getattr(node, name, None) for name in NAMES]
    return [node, *(found for child in children if isinstance(child, Node) for found in nodes_below(child))]


def change(rng: random.Random, app: Any, tag: str) -> None:
    """Change something somewhere, as applications do at run time."""
    node: Any = rng.choice(nodes_below(app.root))
    name = rng.choice(NAMES)
    target: Any = getattr(node, name, None)
    owner: Any = type(node)
    section = f"/{rng.choice(SEGMENTS)}"
    changes: list[Callable[[], Any]] = [
        lambda: setattr(owner, name, page(rng, tag)),
        lambda: setattr(node, name, page(rng, tag)),
        lambda: setattr(node, name, tree(rng, 1, tag)),
        lambda: delattr(node, name),
        lambda: delattr(owner, name),
        lambda: setattr(node, "_cp_config", {"x.k": tag}),
        lambda: node._cp_config.update({"x.l": tag}),
        lambda: delattr(node, "_cp_config"),
        lambda: setattr(target, "_cp_config", {"x.m": tag}),
        lambda: target._cp_config.update({"x.m": tag}),
        lambda: setattr(target, "exposed", not getattr(target, "exposed", False)),
        lambda: app.config.setdefault(section, {}).update({"x.k": tag}),
        lambda: app.config.pop(section, None),
        lambda: app.merge({"/": {"x.l": tag}}),
        lambda: cherrypy.config.update({"x.m": tag}),
        lambda: setattr(app, "root", tree(rng, 2, tag)),
    ]
    try:
        rng.choice(changes)()
    except (AttributeError, TypeError):
        return  # there was nothing of that kind to change


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("dispatcher", [cherrypy.dispatch.Dispatcher, cherrypy.dispatch.MethodDispatcher])
def test_what_is_remembered_is_what_would_be_found(site: Any, dispatcher: Any, seed: int) -> None:
    """Asked again after each of many changes, the site answers like one that remembers nothing."""
    rng = random.Random(seed)
    config: dict[str, Any] = {"/": {"request.show_tracebacks": False}}
    if dispatcher is not cherrypy.dispatch.Dispatcher:
        config["/a"] = {"request.dispatch": dispatcher()}
    app = site.mount(tree(rng, 3, "root"), config=config)
    paths = ["/".join(["", *rng.choices(SEGMENTS, k=rng.randint(0, 3)), *rng.choice([[""], []])]) for _ in range(6)]

    def ask(path: str) -> tuple[int, str | None, bytes]:
        reply = site(path or "/")
        return reply.status, reply.headers.get("Location"), reply.body

    for step in range(40):
        path = rng.choice(paths)
        remembered = [ask(path) for _ in range(3)]
        kept, app.plans = app.plans, PlanCache()
        fresh = ask(path)
        app.plans = kept

        assert remembered == [fresh] * 3, (path, step)
        change(rng, app, f"changed {step}")
