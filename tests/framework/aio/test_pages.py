"""Pages that are coroutines: like any other page, without a thread while they wait."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import xmlrpc.client
from typing import Any

import anyio
import pytest

import cherrypy
from cherrypy.aio.runner import runner

from .conftest import WAIT_S, Live, rooted


def test_a_coroutine_answers(live: Live) -> None:
    """Path, parameters, headers and status work as in any page."""

    async def default(*path: str, **params: str) -> str:
        await asyncio.sleep(0)
        cherrypy.response.status = 201
        cherrypy.response.headers["X-Seen"] = cherrypy.request.headers["X-Sent"]
        return f"{'/'.join(path)} {params['q']}é"

    live.mount(rooted(default=default))
    reply = live.start().get("/a/b?q=1", X_Sent="yes")

    assert reply.status == 201
    assert reply.body == "a/b 1é".encode()
    assert reply.headers["x-seen"] == "yes"
    assert reply.headers["content-type"] == "text/html;charset=utf-8"


def test_a_thousand_sleepers_need_ten_threads(live: Live) -> None:
    """All of them sleep at once, and wake together."""
    asleep = 0
    everybody = asyncio.Event()

    async def index() -> str:
        nonlocal asleep
        asleep += 1
        if asleep == 1000:
            everybody.set()
        await asyncio.wait_for(everybody.wait(), WAIT_S)
        return "slept"

    live.mount(rooted(index=index))
    live.start(threads=10)
    clients = [live.connect() for _ in range(1000)]
    for client in clients:
        client.ask("/")
    bodies = {client.reply().body for client in clients}
    for client in clients:
        client.close()

    assert bodies == {b"slept"}


def test_interleaved_pages_see_their_own_request(live: Live) -> None:
    """Two coroutines take turns on one thread; each has its request, its response and its session."""
    steps: dict[str, asyncio.Event] = {}

    async def index(name: str) -> str:
        for one in ("a", "b"):
            steps.setdefault(one, asyncio.Event())
        cherrypy.session["name"] = name
        cherrypy.response.headers["X-Name"] = name
        seen = [cherrypy.request.params["name"]]
        steps[name].set()
        await steps["b" if name == "a" else "a"].wait()
        seen.append(cherrypy.request.params["name"])
        await asyncio.sleep(0)
        seen += [cherrypy.session["name"], cherrypy.response.headers["X-Name"]]
        return " ".join(seen)

    live.mount(rooted(index=index), config={"/": {"tools.sessions.on": True}})
    live.start()
    with live.connect() as one, live.connect() as two:
        one.ask("/?name=a")
        two.ask("/?name=b")
        bodies = [one.reply().body, two.reply().body]

    assert bodies == [b"a a a a", b"b b b b"]


def test_tasks_and_threads_of_a_page_see_its_request(live: Live) -> None:
    """Created tasks inherit the request, and so do functions sent to other threads."""

    async def child() -> str:
        await asyncio.sleep(0)
        return str(cherrypy.request.params["name"])

    async def index(name: str) -> str:
        gathered = await asyncio.gather(child(), child())
        threaded = await asyncio.to_thread(lambda: cherrypy.request.params["name"])
        return " ".join([*gathered, threaded, cherrypy.request.params["name"]])

    live.mount(rooted(index=index))
    live.start()

    assert live.get("/?name=x").body == b"x x x x"


def test_cancel_scopes_of_other_libraries_work(live: Live, caplog: pytest.LogCaptureFixture) -> None:
    """They look into the coroutines of tasks: whether they have begun."""
    cancelled: list[bool] = []

    async def child() -> None:
        try:
            await anyio.sleep(WAIT_S)
        finally:
            cancelled.append(True)

    async def index() -> str:
        with anyio.move_on_after(0.01) as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(child)
                group.start_soon(child)
        return f"{scope.cancelled_caught} {cherrypy.request.path_info}"

    live.mount(rooted(index=index))

    assert live.start().get("/").body == b"True /"
    assert cancelled == [True, True]
    assert not [record for record in caplog.records if record.name == "asyncio" and record.levelname == "ERROR"]


def test_hooks_run_around_the_page_on_threads_of_the_pool(live: Live) -> None:
    """What may block does not run on the event loop, and what a hook reads is this request's."""
    ran: list[tuple[str, str, str]] = []

    def note(point: str) -> None:
        ran.append((point, threading.current_thread().name, cherrypy.request.path_info))

    async def index() -> str:
        note("page")
        await asyncio.sleep(0)
        return "x"

    points = ["before_handler", "before_finalize", "on_end_resource", "on_end_request"]
    tools = cherrypy._cptools.Toolbox("noting")
    for point in points:
        setattr(tools, point, cherrypy.Tool(point, lambda point=point: note(point)))
    app = live.mount(rooted(index=index), config={"/": {f"noting.{point}.on": True for point in points}})
    app.toolboxes = {**app.toolboxes, "noting": tools}
    live.start()
    with live.connect() as client:
        client.get("/")
        client.get("/")

    assert [point for point, _, _ in ran[:5]] == ["before_handler", "page", *points[1:]]
    assert ran[1][1] == "CP Event Loop"
    assert all(thread.startswith("CP Server Thread") for point, thread, _ in ran if point != "page")
    assert {path for _, _, path in ran} == {"/"}


def test_a_tool_may_be_a_coroutine(live: Live) -> None:
    """It is waited for, before any page: a check that nobody awaits would be none."""

    async def check(word: str = "") -> None:
        await asyncio.sleep(0)
        if cherrypy.request.params.get("word") != word:
            raise cherrypy.HTTPError(403)
        cherrypy.request.checked = True

    class Checker:
        async def __call__(self) -> None:
            cherrypy.response.headers["X-Checked"] = str(getattr(cherrypy.request, "checked", False))

    def plain(word: str) -> str:
        return f"plain {cherrypy.request.checked}"

    async def coroutine(word: str) -> str:
        return f"coroutine {cherrypy.request.checked}"

    tools = cherrypy._cptools.Toolbox("checks")
    tools.word = cherrypy.Tool("before_handler", check)
    tools.header = cherrypy.Tool("before_finalize", Checker())
    conf = {"/": {"checks.word.on": True, "checks.word.word": "open", "checks.header.on": True}}
    app = live.mount(rooted(plain=plain, coroutine=coroutine), config=conf)
    app.toolboxes = {**app.toolboxes, "checks": tools}
    live.start()
    opened = [live.get(f"/{name}?word=open") for name in ("plain", "coroutine")]

    assert [reply.body for reply in opened] == [b"plain True", b"coroutine True"]
    assert opened[0].headers["x-checked"] == "True"
    assert [live.get(f"/{name}?word=no").status for name in ("plain", "coroutine")] == [403, 403]


def test_what_answers_in_place_of_a_page_may_be_a_coroutine(live: Live) -> None:
    """A handler tool's callable, and a method called by XML-RPC."""

    async def answer(word: str = "") -> bool:
        await asyncio.sleep(0)
        cherrypy.response.body = word.encode()
        return bool(word)

    async def add(one: int, two: int) -> int:
        await asyncio.sleep(0)
        return one + two

    class RPC(cherrypy._cptools.XMLRPCController):
        pass

    root = rooted(index=lambda: "page", other=lambda: "other")
    root.rpc = RPC()
    root.rpc.add = cherrypy.expose(add)
    tools = cherrypy._cptools.Toolbox("answers")
    tools.answer = cherrypy._cptools.HandlerTool(answer)
    conf = {"/": {"answers.answer.on": True, "answers.answer.word": "tool"}, "/other": {"answers.answer.word": ""}}
    app = live.mount(root, config={**conf, "/rpc": {"answers.answer.on": False}})
    app.toolboxes = {**app.toolboxes, "answers": tools}
    live.start()
    call = xmlrpc.client.dumps((2, 3), "add").encode()
    called = live.get("/rpc/", "POST", call, Content_Type="text/xml")

    assert live.get("/").body == b"tool"
    assert live.get("/other").body == b"other"
    assert xmlrpc.client.loads(called.body)[0] == (5,)


def test_errors_and_redirects_of_a_coroutine_are_answers(live: Live) -> None:
    """They mean what they mean in any page, and the error page is the configured one."""

    async def refuse() -> str:
        await asyncio.sleep(0)
        raise cherrypy.HTTPError(418, "no coffee")

    async def move() -> str:
        await asyncio.sleep(0)
        raise cherrypy.HTTPRedirect("/index")

    async def inside() -> str:
        await asyncio.sleep(0)
        raise cherrypy.InternalRedirect("/there", "q=2")

    async def there(q: str) -> str:
        await asyncio.sleep(0)
        return f"there {q} from {cherrypy.request.prev.path_info}"

    async def fail() -> str:
        await asyncio.sleep(0)
        raise ValueError("broken")

    async def loop() -> str:
        raise cherrypy.InternalRedirect("/loop")

    def teapot(status: str, message: str, traceback: str, version: str) -> str:
        return f"{cherrypy.request.path_info}: {message}"

    root = rooted(refuse=refuse, move=move, inside=inside, there=there, fail=fail, loop=loop)
    live.mount(root, config={"/": {"error_page.418": teapot, "request.show_tracebacks": False}})
    live.start()
    refused, moved, led, failed, looped = (
        live.get(f"/{name}") for name in ("refuse", "move", "inside", "fail", "loop")
    )

    assert (refused.status, refused.body) == (418, b"/refuse: no coffee")
    assert (moved.status, moved.headers["location"]) == (303, "http://site.test/index")
    assert led.body == b"there 2 from /inside"
    assert failed.status == 500
    assert b"broken" not in failed.body
    assert looped.status == 500


def test_wrong_arguments_are_404_and_400(live: Live) -> None:
    """The signature of a coroutine function is held against the path and the parameters."""

    async def page(one: str) -> str:
        return one

    live.mount(rooted(page=page))
    live.start()

    assert live.get("/page/a/b").status == 404
    assert live.get("/page").status == 404
    assert live.get("/page?one=1&two=2").status == 404
    assert live.get("/page?one=1").body == b"1"


def test_a_client_that_leaves_cancels_its_page(live: Live) -> None:
    """The coroutine gets CancelledError, on_end_request runs, the session's lock is free again."""
    begun = threading.Event()
    ended = threading.Event()
    closed = threading.Event()

    async def index() -> str:
        cherrypy.request.hooks.attach("on_end_request", closed.set)
        begun.set()
        try:
            await asyncio.sleep(WAIT_S * 10)
        finally:
            ended.set()
        return "late"

    async def quick() -> str:
        cherrypy.session["seen"] = True
        return "quick"

    conf = {"/": {"tools.sessions.on": True}}
    live.mount(rooted(index=index, quick=quick), config=conf)
    live.start()
    cookie = live.get("/quick").headers["set-cookie"].split(";")[0]
    with live.connect() as client:
        client.ask("/", Cookie=cookie)
        assert begun.wait(WAIT_S)
        client.close()

        assert ended.wait(WAIT_S)
        assert closed.wait(WAIT_S)
        assert live.get("/quick", Cookie=cookie).body == b"quick"


def test_a_page_that_never_began_leaves_no_warning(live: Live, recwarn: pytest.WarningsRecorder) -> None:
    """Its client left before the loop came to it."""

    async def index() -> str:
        await asyncio.sleep(0)
        return "x"

    live.mount(rooted(index=index))
    live.start()
    busy, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        busy.set()
        go_on.wait(WAIT_S)

    runner.call(hold)
    assert busy.wait(WAIT_S)
    with live.connect() as client:
        client.ask("/")
        while not live.server.stats().in_flight:
            time.sleep(0.001)
        client.close()
    while live.server.stats().idle_connections:
        time.sleep(0.001)
    time.sleep(0.05)  # the server looks at its sockets once more
    go_on.set()

    assert live.server.drain(WAIT_S)
    gc.collect()
    assert not [one for one in recwarn.list if "never awaited" in str(one.message)]


def test_a_full_pool_that_waits_for_a_coroutine_is_helped(live: Live) -> None:
    """Every thread waits for a session's lock which the coroutine holds: its request goes on all the same."""
    begun = threading.Event()
    go_on = threading.Event()

    async def slow() -> str:
        begun.set()
        await asyncio.to_thread(go_on.wait, WAIT_S)
        return "slow"

    def quick() -> str:
        cherrypy.session["seen"] = True
        return "quick"

    live.mount(rooted(slow=slow, quick=quick), config={"/": {"tools.sessions.on": True}})
    live.start(threads=2)
    cookie = live.get("/quick").headers["set-cookie"].split(";")[0]
    with live.connect() as first, live.connect() as second, live.connect() as third:
        first.ask("/slow", Cookie=cookie)
        assert begun.wait(WAIT_S)
        second.ask("/quick", Cookie=cookie)
        third.ask("/quick", Cookie=cookie)
        deadline = time.monotonic() + WAIT_S
        while live.server.stats().threads_busy < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        go_on.set()
        bodies = [client.reply().body for client in (first, second, third)]

    assert bodies == [b"slow", b"quick", b"quick"]


def test_our_tools_wait_for_the_page(live: Live) -> None:
    """json_out, encode and gzip work on what the coroutine returns, and hold no thread for it."""

    async def index() -> Any:
        await asyncio.sleep(0)
        return {"a": "é"}

    async def text() -> str:
        await asyncio.sleep(0)
        return "ü" * 1000

    root = rooted(index=index, text=text)
    live.mount(
        root, config={"/": {"tools.json_out.on": True}, "/text": {"tools.json_out.on": False, "tools.gzip.on": True}}
    )
    live.start()
    as_json = live.get("/")
    zipped = live.get("/text", Accept_Encoding="gzip", Accept_Charset="iso-8859-1")

    assert as_json.body == b'{"a": "\\u00e9"}'
    assert as_json.headers["content-type"] == "application/json"
    assert zipped.headers["content-encoding"] == "gzip"
    assert zipped.headers["content-type"] == "text/html;charset=iso-8859-1"


def test_tools_behind_the_page_see_its_body(live: Live) -> None:
    """Caching keeps it, etags are made of it."""
    made: list[str] = []

    async def index() -> str:
        await asyncio.sleep(0)
        made.append("once")
        return "body"

    on = {f"tools.{name}.on": True for name in ("caching", "etags")}
    live.mount(rooted(index=index), config={"/": {**on, "tools.etags.autotags": True}})
    live.start()
    first = live.get("/")
    second = live.get("/")
    third = live.get("/", If_None_Match=first.headers["etag"])

    assert [first.body, second.body] == [b"body", b"body"]
    assert made == ["once"]
    assert third.status == 304


def test_a_wrapper_that_wants_the_result_gets_it(live: Live) -> None:
    """A handler wrapper written for plain pages runs around a coroutine as it does around them, in its order."""
    ran: list[str] = []

    async def index() -> str:
        ran.append("page")
        await asyncio.sleep(0)
        return "page"

    def wrap(next_handler: Any) -> str:
        ran.append("before")
        body = f"<{next_handler()}>"
        ran.append("after")
        return body

    def stand_in() -> None:
        inner = cherrypy.request.handler
        cherrypy.request.handler = lambda: f"[{inner()}]"

    tools = cherrypy._cptools.Toolbox("wrapping")
    tools.wrap = cherrypy._cptools.HandlerWrapperTool(wrap)
    tools.stand_in = cherrypy.Tool("before_handler", stand_in, priority=40)
    app = live.mount(rooted(index=index), config={"/": {"wrapping.wrap.on": True, "wrapping.stand_in.on": True}})
    app.toolboxes = {**app.toolboxes, "wrapping": tools}
    live.start()

    assert live.get("/").body == b"<[page]>"
    assert ran == ["before", "page", "after"]


def test_a_wrapper_may_be_a_coroutine_itself(live: Live) -> None:
    """It awaits the handler inside, whether that is one or not."""

    async def one() -> str:
        await asyncio.sleep(0)
        return f"one {cherrypy.request.path_info}"

    def two() -> str:
        return f"two {cherrypy.request.path_info}"

    async def wrap(next_handler: Any) -> str:
        await asyncio.sleep(0)
        return f"<{await next_handler()}>"

    tools = cherrypy._cptools.Toolbox("wrapping")
    tools.wrap = cherrypy._cptools.HandlerWrapperTool(wrap)
    app = live.mount(rooted(one=one, two=two), config={"/": {"wrapping.wrap.on": True}})
    app.toolboxes = {**app.toolboxes, "wrapping": tools}
    live.start()

    assert live.get("/one").body == b"<one /one>"
    assert live.get("/two").body == b"<two /two>"


def test_methods_of_a_resource_may_be_coroutines(live: Live) -> None:
    """MethodDispatcher: some are, some are not."""

    class Resource:
        exposed = True

        async def GET(self) -> str:
            await asyncio.sleep(0)
            return "got"

        def PUT(self) -> str:
            return "put"

        async def POST(self, text: str) -> str:
            await asyncio.sleep(0)
            return text

    live.mount(Resource(), config={"/": {"request.dispatch": cherrypy.dispatch.MethodDispatcher()}})
    live.start()
    posted = live.get("/", "POST", b"text=form", Content_Type="application/x-www-form-urlencoded")

    assert live.get("/").body == b"got"
    assert live.get("/", "PUT", b"x").body == b"put"
    assert posted.body == b"form"
    assert live.get("/", "DELETE").status == 405
    assert live.get("/", "HEAD").headers["content-length"] == "3"


def test_a_large_upload_reaches_a_coroutine(live: Live) -> None:
    """Forms are parsed before the page; a body left unread is read in a thread of the loop's."""

    async def form(data: str) -> str:
        await asyncio.sleep(0)
        return str(len(data))

    async def raw() -> str:
        body = await asyncio.to_thread(cherrypy.request.rfile.read)
        return str(len(body))

    raw._cp_config = {"request.process_request_body": False}  # type: ignore[attr-defined]
    live.mount(rooted(form=form, raw=raw))
    live.start()
    data = b"data=" + b"x" * 300_000
    with live.connect() as client:
        formed = client.get("/form", "POST", data, Content_Type="application/x-www-form-urlencoded")
        read = client.get("/raw", "PUT", b"y" * 300_000)
        again = client.get("/form?data=1")

    assert [formed.body, read.body, again.body] == [b"300000", b"300000", b"1"]


def test_a_stop_waits_for_pages_and_then_cancels(live: Live) -> None:
    """A page that comes to its end in time is answered; one that does not gets CancelledError."""
    begun = threading.Barrier(3)
    cancelled = threading.Event()
    go_on = threading.Event()

    async def quick() -> str:
        await asyncio.to_thread(begun.wait)
        await asyncio.to_thread(go_on.wait, WAIT_S)
        return "quick"

    async def endless() -> str:
        await asyncio.to_thread(begun.wait)
        try:
            await asyncio.sleep(WAIT_S * 10)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return "never"

    live.mount(rooted(quick=quick, endless=endless))
    live.start()
    with live.connect() as one, live.connect() as two:
        one.ask("/quick")
        two.ask("/endless")
        begun.wait(WAIT_S)
        stopping = threading.Thread(target=live.server.stop, args=(0.5,))
        stopping.start()
        go_on.set()
        reply = one.reply()
        stopping.join(WAIT_S)

        assert reply.body == b"quick"
        assert reply.headers["connection"] == "close"
        assert cancelled.wait(WAIT_S)
        with pytest.raises((EOFError, ConnectionResetError)):
            two.reply()


def test_under_wsgi_the_thread_waits(live: Live) -> None:
    """Behind a WSGI server, or an application's own pipeline, a coroutine is answered all the same."""

    async def index() -> str:
        await asyncio.sleep(0)
        return "waited"

    app = live.mount(rooted(index=index))
    app.wsgiapp.pipeline.append(("nothing", lambda nextapp: nextapp))
    live.start()

    assert live.get("/").body == b"waited"


def test_the_access_log_and_head_requests_are_as_ever(live: Live) -> None:
    """One line a request, with the length of the body that HEAD leaves out."""
    lines: list[str] = []

    async def index() -> str:
        await asyncio.sleep(0)
        return "12345"

    app = live.mount(rooted(index=index))
    app.log.access = lambda: lines.append(f"{cherrypy.request.method} {cherrypy.response.output_status}")  # type: ignore[method-assign]
    live.start()
    with live.connect() as client:
        got, head = client.get("/"), client.get("/", "HEAD")

    assert got.body == b"12345"
    assert (head.body, head.headers["content-length"]) == (b"", "5")
    assert lines == ["GET b'200 OK'", "HEAD b'200 OK'"]


def test_pipelined_requests_keep_their_order(live: Live) -> None:
    """The second of two pipelined requests waits for the first one's coroutine."""

    async def index(name: str) -> str:
        await asyncio.sleep(0.05 if name == "a" else 0)
        return name

    live.mount(rooted(index=index))
    live.start()
    with live.connect() as client:
        client.ask("/?name=a")
        client.ask("/?name=b")
        bodies = [client.reply().body, client.reply().body]

    assert bodies == [b"a", b"b"]
