"""What is compiled, and what makes it be compiled anew."""

from __future__ import annotations

import threading
from typing import Any

import cherrypy
from cherrypy.core.plan import PlanCache


class Counting(cherrypy.Tool):
    """A tool that counts how often it is attached to a plan."""

    attached = 0

    def _attach(self, target: Any, conf: dict[str, Any]) -> None:
        type(self).attached += 1
        super()._attach(target, conf)


def rooted(**config: Any) -> Any:
    """Return a root whose page shows the value that its tool was given."""

    class Root:
        @cherrypy.expose
        def index(self) -> str:
            return getattr(cherrypy.response, "shown", "nothing")

        index._cp_config = config

    return Root()


def show(value: str = "default") -> None:
    """Let the page show *value*."""
    cherrypy.response.shown = value


def boxed(tool: Any) -> Any:
    """Return a toolbox with *tool* as 'it'."""
    box = cherrypy._cptools.Toolbox("box")
    box.it = tool
    return box


def test_a_tool_is_bound_once(site: Any) -> None:
    """Two requests, one attachment."""
    Counting.attached = 0
    app = site.mount(rooted(**{"box.it.on": True}))
    app.toolboxes["box"] = boxed(Counting("before_handler", show))

    assert site("/").body == site("/").body == b"default"
    assert Counting.attached == 1


def test_a_change_of_cp_config_is_seen(site: Any) -> None:
    """The dict of a page may change between two requests."""
    root = rooted(**{"box.it.on": True})
    app = site.mount(root)
    app.toolboxes["box"] = boxed(cherrypy.Tool("before_handler", show))
    before = site("/").body
    type(root).index._cp_config["box.it.value"] = "changed"

    assert (before, site("/").body) == (b"default", b"changed")


def test_a_change_of_the_application_is_seen(site: Any) -> None:
    """A section may change between two requests."""
    app = site.mount(rooted(), config={"/": {"box.it.on": False}})
    app.toolboxes["box"] = boxed(cherrypy.Tool("before_handler", show))
    before = site("/").body
    app.config["/"]["box.it.on"] = True

    assert (before, site("/").body) == (b"nothing", b"default")


def test_a_change_of_the_site_is_seen(site: Any) -> None:
    """config.update reaches the next request."""
    app = site.mount(rooted())
    app.toolboxes["box"] = boxed(cherrypy.Tool("before_handler", show))
    before = site("/").body
    cherrypy.config.update({"box.it.on": True})

    assert (before, site("/").body) == (b"nothing", b"default")


def test_a_change_of_a_tool_is_seen(site: Any) -> None:
    """Another callable in the same tool."""
    tool = cherrypy.Tool("before_handler", show)
    app = site.mount(rooted(**{"box.it.on": True}))
    app.toolboxes["box"] = boxed(tool)
    before = site("/").body
    tool.callable = lambda: show("other")

    assert (before, site("/").body) == (b"default", b"other")


def test_a_tool_with_its_own_setup_runs_for_each_request(site: Any) -> None:
    """Such a tool may look at the request, so it cannot be compiled."""

    class ByPath(cherrypy.Tool):
        def _setup(self) -> None:
            request = cherrypy.serving.request
            request.hooks.attach("before_handler", show, value=request.headers["X-Value"])

    app = site.mount(rooted(**{"box.it.on": True}))
    app.toolboxes["box"] = boxed(ByPath("before_handler", show))

    assert [site("/", headers={"X-Value": value}).body for value in "ab"] == [b"a", b"b"]


def test_a_namespace_of_the_applications_own_runs_for_each_request(site: Any) -> None:
    """Its handler is told of every key at every request."""
    told: list[tuple[str, Any]] = []

    class OwnRequest(cherrypy._cprequest.Request):
        namespaces = cherrypy._cprequest.Request.namespaces.copy()

    app = site.mount(rooted(**{"mine.key": 1}))
    app.request_class = OwnRequest
    OwnRequest.namespaces["mine"] = lambda k, v: told.append((k, v))
    site("/")
    site("/")

    assert told == [("key", 1), ("key", 1)]


def test_a_namespace_that_knows_every_name_runs_for_requests_with_its_keys(site: Any) -> None:
    """Also one that has no attributes but settings, and says that it is no context manager."""
    seen: list[tuple[str, Any]] = []

    class Settings:
        __exit__ = None

        def __getattr__(self, name: str) -> Any:
            raise KeyError(name)

        def __call__(self, name: str, value: Any) -> None:
            seen.append((name, value))

    root = type("Root", (), {"index": cherrypy.expose(lambda self: "page")})()
    app = site.mount(root, "", {"/": {"known.key": 1}})
    namespaces = cherrypy._cprequest.Request.namespaces.copy()
    namespaces["known"] = Settings()
    app.request_class = type("Own", (cherrypy._cprequest.Request,), {"namespaces": namespaces})
    answers = [site("/").status for _ in range(3)]

    assert answers == [200] * 3
    assert seen == [("key", 1)] * 3


def test_a_class_of_requests_has_hooks_and_namespaces_of_its_own(site: Any) -> None:
    """Besides the tools; what one request does to its copies is not seen by the next."""
    ran: list[str] = []
    declared = cherrypy._cprequest.Request.hooks.copy()
    declared.attach("before_finalize", lambda: ran.append("declared"))

    class OwnRequest(cherrypy._cprequest.Request):
        hooks = declared
        namespaces = cherrypy._cprequest.Request.namespaces.copy()

    class Root:
        @cherrypy.expose
        def index(self) -> str:
            cherrypy.request.hooks.attach("before_finalize", lambda: ran.append("attached"))
            cherrypy.request.namespaces["more"] = print
            return "page"

    app = site.mount(Root())
    app.request_class = OwnRequest
    answers = [site("/").body for _ in range(2)]

    assert answers == [b"page"] * 2
    assert ran == ["declared", "attached"] * 2
    assert OwnRequest.hooks is declared
    assert "more" not in OwnRequest.namespaces


def test_what_a_request_touches_is_its_own(site: Any) -> None:
    """Hooks, configuration and toolmaps changed by one request are not seen by the next."""
    sizes: list[tuple[int, int, int]] = []

    class Root:
        @cherrypy.expose
        def index(self) -> str:
            request = cherrypy.serving.request
            sizes.append((len(request.config), len(request.hooks["before_finalize"]), len(request.toolmaps["tools"])))
            request.config["mine"] = 1
            request.hooks.attach("before_finalize", lambda: None)
            request.toolmaps["tools"]["mine"] = {}
            request.error_page[404] = "nowhere"
            return ""

    site.mount(Root())
    site("/")
    site("/")

    assert sizes[0] == sizes[1]


def test_hooks_attached_on_the_way_run(site: Any) -> None:
    """A hook of an earlier point may add one to a later."""

    class Root:
        @cherrypy.expose
        def index(self) -> str:
            cherrypy.request.hooks.attach("before_finalize", self.stamp)
            return "x"

        def stamp(self) -> None:
            cherrypy.response.headers["X-Stamp"] = "yes"

    site.mount(Root())

    assert site("/").headers["X-Stamp"] == "yes"


def test_the_cache_does_not_grow_for_ever(site: Any) -> None:
    """Objects that make a new ``_cp_config`` for each request cannot fill it."""

    class Restless:
        @property
        def _cp_config(self) -> dict[str, Any]:
            return {"some.key": object()}

        @cherrypy.expose
        def index(self) -> str:
            return ""

    app = site.mount(Restless())
    for _ in range(PlanCache.limit + 10):
        site("/")

    assert len(app.plans.plans) <= PlanCache.limit


def test_response_headers_and_attributes_come_from_configuration(site: Any) -> None:
    """``response.headers.NAME`` and ``response.NAME``."""
    site.mount(rooted(**{"response.headers.X-Set": "1", "response.status": 202}))

    reply = site("/")

    assert (reply.status, reply.headers["X-Set"]) == (202, "1")


def test_no_thread_sees_half_a_plan(site: Any) -> None:
    """A second request waits until the first has compiled all hooks."""
    second: list[Any] = []
    threads: list[threading.Thread] = []

    class Slow(cherrypy.Tool):
        def _attach(self, target: Any, conf: dict[str, Any]) -> None:
            if not threads:
                threads.append(threading.Thread(target=lambda: second.append(site("/").status)))
                threads[0].start()
                threads[0].join(0.05)
            super()._attach(target, conf)

    def refuse() -> None:
        raise cherrypy.HTTPError(401)

    app = site.mount(rooted(**{"box.it.on": True}))
    app.toolboxes["box"] = boxed(Slow("before_handler", refuse))
    first = site("/").status
    threads[0].join(10)

    assert (first, second) == (401, [401])


def test_an_error_while_compiling_does_not_leave_hooks_behind(site: Any) -> None:
    """The next request starts from nothing."""
    fails = [True]
    seen: list[str] = []

    class Failing(cherrypy.Tool):
        def _attach(self, target: Any, conf: dict[str, Any]) -> None:
            if fails and fails.pop():
                raise RuntimeError("once")

    box = boxed(cherrypy.Tool("before_handler", lambda: seen.append("hook")))
    box.failing = Failing("before_handler", show)
    app = site.mount(rooted(**{"box.it.on": True, "box.failing.on": True}))
    app.toolboxes["box"] = box

    assert [site("/").status, site("/").status] == [500, 200]
    assert seen == ["hook"]


def test_a_hook_attached_outside_of_a_request_reaches_every_request(site: Any) -> None:
    """Plugins attach theirs at start-up: ``cherrypy.request.hooks.attach``; taking it away is seen as well."""
    ended: list[str] = []

    def note() -> None:
        ended.append(cherrypy.request.path_info)

    site.mount(rooted())
    site("/")
    cherrypy.request.hooks.attach("on_end_resource", note)
    try:
        site("/")
        site("/")
    finally:
        shared = cherrypy.request.hooks["on_end_resource"]
        shared.remove(next(hook for hook in shared if hook.callback is note))
    site("/")

    assert ended == ["/", "/"]
