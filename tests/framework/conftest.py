"""Asking an application through the native responder: no socket, no thread."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

import cherrypy
from cherrypy.app.native import NativeResponder
from cherrypy.app.tree import Tree
from cherrypy.context import Serving, set_defaults
from cherrypy.core.response import Response
from cherrypy.lib import sessions


def _globals() -> list[Any]:
    return [cherrypy.server, cherrypy.engine, cherrypy.engine.autoreload, cherrypy.checker, cherrypy.log]


@pytest.fixture(scope="module", autouse=True)
def site_as_it_was() -> Iterator[None]:
    """Put the site back as the module found it: its objects, configuration, subscriptions and what is mounted."""
    attributes = [(one, dict(vars(one))) for one in _globals()]
    listeners = {channel: set(found) for channel, found in cherrypy.engine.listeners.items()}
    config = dict(cherrypy.config)
    tree, apps = cherrypy.tree, dict(cherrypy.tree.apps)
    yield
    for one, kept in attributes:
        vars(one).clear()
        vars(one).update(kept)
    for channel, found in list(cherrypy.engine.listeners.items()):
        for listener in found - listeners.get(channel, set()):
            cherrypy.engine.unsubscribe(channel, listener)
        for listener in listeners.get(channel, set()) - found:
            cherrypy.engine.subscribe(channel, listener)
    if dict(cherrypy.config) != config:
        # past the namespaces, which would do it all again
        dict.clear(cherrypy.config)
        dict.update(cherrypy.config, config)
        cherrypy.config.changed()
    # the ones outside of any request; tests of single tools use them
    set_defaults(Serving.request, Response())
    cherrypy.tree = tree
    cherrypy.tree.apps.clear()
    cherrypy.tree.apps.update(apps)
    for store in (sessions.RamSession, sessions.FileSession, sessions.MemcachedSession, sessions.RedisSession):
        cleaner = store.__dict__.get("clean_thread")
        if cleaner is not None:
            cleaner.stop()
            cleaner.unsubscribe()
            del store.clean_thread


@dataclass
class Reply:
    """What the responder answered; ``closed`` tells whether the request was over before the body was out."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool
    pairs: list[tuple[bytes, bytes]] = field(repr=False)


class Site:
    """A tree of its own, and a way to ask it."""

    def __init__(self) -> None:
        self.tree = Tree()
        self.server = SimpleNamespace(trusted_proxies=None)
        self.respond = NativeResponder(self)
        self.entered: list[Any] = []
        self.scheme = "http"
        self.peer = ("192.0.2.1", 50000)

    def mount(self, root: Any, script_name: str = "", config: Any = None) -> cherrypy.Application:
        """Mount *root*."""
        return self.tree.mount(root, script_name, config)

    def message(self, target: str, method: str, headers: dict[str, str], body: bytes, version: tuple[int, int]) -> Any:
        """Return what the native server would hand over."""
        path, _, query = target.partition("?")
        pairs = {"Host": "site.test", **headers}
        if body:
            pairs.setdefault("Content-Length", str(len(body)))
        return SimpleNamespace(
            method=method,
            target=target,
            path=path,
            query=query,
            version=version,
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs.items()],
            has_body=bool(body),
            names_charset="accept-charset" in {name.lower() for name in pairs},
            content_length=len(body) or None,
            body=io.BytesIO(body),
            entering=self.entered.append,
            batch=None,
            is_plain=False,
            connection=SimpleNamespace(peer=self.peer, local=("192.0.2.9", 8080), scheme=self.scheme),
        )

    def __call__(
        self,
        target: str = "/",
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        version: tuple[int, int] = (1, 1),
    ) -> Reply:
        """Ask, read the body, close."""
        status, pairs, pieces, close = self.respond(self.message(target, method, headers or {}, body, version))
        try:
            content = b"".join(pieces)
        finally:
            if close is not None:
                close()
        fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}
        return Reply(int(status[:3]), fields, content, close is None, pairs)

    def form(self, target: str, body: bytes, **headers: str) -> Reply:
        """Post an urlencoded form."""
        return self(target, "POST", {"Content-Type": "application/x-www-form-urlencoded", **headers}, body)


@pytest.fixture
def site() -> Iterator[Site]:
    """Give an empty site; the configuration of the process is put back afterwards."""
    before = dict(cherrypy.config)
    screen = cherrypy.log.screen
    cherrypy.log.screen = False
    yield Site()
    cherrypy.log.screen = screen
    cherrypy.config.clear()
    dict.update(cherrypy.config, before)
    cherrypy.config.changed()
    cherrypy.serving.clear()


@pytest.fixture
def page() -> Callable[..., Any]:
    """Give a function that makes a root with one exposed index."""

    def make(function: Callable[..., Any], **attributes: Any) -> Any:
        exposed = cherrypy.expose(lambda self, *args, **kwargs: function(*args, **kwargs))
        return type("Root", (), {"index": exposed, **attributes})()

    return make
