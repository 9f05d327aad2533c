"""The sessions tool, with every store."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import sessions
from cherrypy.lib.locking import LockTimeout


def test_data_stay_from_request_to_request(browser: Any) -> None:
    """And another client has data of its own."""
    assert [browser("/").body for _ in range(3)] == [b"1", b"2", b"3"]

    browser.cookies.clear()

    assert browser("/").body == b"1"


def test_the_id_has_160_bits_and_is_new_each_time(browser: Any) -> None:
    """SECURITY: ids cannot be guessed."""
    browser("/")
    first = browser.cookies.pop("session_id")
    browser("/")

    assert len(first) == 40
    assert int(first, 16) != int(browser.cookies["session_id"], 16)


@pytest.mark.parametrize("given", ["0" * 40, "x", "a" * 500, "a b" * 10, "\xfc" * 20, ""])
def test_an_id_that_was_not_given_out_is_not_taken(browser: Any, given: str) -> None:
    """SECURITY: session fixation."""
    answer = browser("/", headers={"Cookie": f'session_id="{given}"'})

    assert answer.status in (200, 400)
    assert browser.cookies.get("session_id", "-") != given


@pytest.mark.parametrize("page", ["/regenerate", "/regenerate_by_tool"])
def test_regenerating_keeps_the_data_and_drops_the_old_id(browser: Any, page: str) -> None:
    """SECURITY: session fixation; also when the page has not read the data."""
    browser("/")
    old = browser.cookies["session_id"]
    new = browser(page).body.decode()

    assert browser.cookies["session_id"] == new != old
    assert browser("/").body == b"2"
    assert browser("/", headers={"Cookie": f"session_id={old}"}).body == b"1"


def test_locks_are_free_after_an_error(browser: Any) -> None:
    """The next request of the same client is not held up, and what was half done is not written to a store."""
    browser("/")

    assert browser("/fail").status == 500
    # in memory there is only one dict, which the page has changed
    assert browser("/").body == (b"1" if sessions.RamSession.cache else b"2")


def test_an_http_error_keeps_what_the_page_had_set(browser: Any) -> None:
    """403 is an answer, not an accident."""
    assert browser("/refuse").status == 403
    assert browser("/").body == b"71"


def test_a_deleted_session_is_not_written_again_at_the_end(browser: Any) -> None:
    """SECURITY: logged out is logged out, though the page had read the session before."""
    browser("/")
    old = browser.cookies["session_id"]
    browser("/delete")

    assert browser("/", headers={"Cookie": f"session_id={old}"}).body == b"1"


def test_a_page_may_save_and_go_on_without_the_lock(browser: Any) -> None:
    """A long poll or a download need not hold up the client's other requests."""
    assert browser("/save_early").body == b"False"
    assert browser("/").body == b"51"


def test_a_lock_given_back_early_loses_nothing(browser: Any) -> None:
    """What is set afterwards is saved under a lock of its own."""
    browser("/")

    assert browser("/release_early").body == b"False"
    assert browser("/").body == b"2"


def test_a_page_that_saved_early_does_not_undo_a_logout(serve: Callable[..., Any], store_settings: Any) -> None:
    """SECURITY: a long poll must not write the user back whom another request has logged out meanwhile."""
    saved, logged_out = threading.Event(), threading.Event()

    class Root:
        @cherrypy.expose
        def login(self) -> str:
            cherrypy.session["user"] = "anna"
            return "in"

        @cherrypy.expose
        def poll(self) -> str:
            cherrypy.session.get("user")
            cherrypy.session.save()
            saved.set()
            logged_out.wait(5)
            return "polled"

        @cherrypy.expose
        def logout(self) -> str:
            cherrypy.session.clear()
            return "out"

        @cherrypy.expose
        def who(self) -> str:
            return str(cherrypy.session.get("user"))

    browser = serve(Root(), **store_settings)
    browser("/login")
    poll = threading.Thread(target=lambda: browser("/poll"))
    poll.start()
    assert saved.wait(5)
    browser("/logout")
    logged_out.set()
    poll.join(5)

    assert browser("/who").body == b"None"


def test_two_requests_at_once_count_two(browser: Any) -> None:
    """The lock makes a read and a write of the session one act."""
    browser("/")
    threads = [threading.Thread(target=lambda: [browser("/") for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert browser("/").body == b"22"


def test_streams_and_generators_save_what_they_did(browser: Any) -> None:
    """A stream at its end, a generator when it is collected."""
    browser("/")
    browser("/stream")
    assert browser("/").body == b"12"

    browser("/lazily")
    assert browser("/").body == b"21"


def test_a_stream_that_the_client_leaves_frees_the_lock(browser: Any) -> None:
    """The lock goes with the request."""
    browser("/")
    browser("/stream", read=False)

    assert browser("/").status == 200


@pytest.mark.parametrize("locking", ["implicit", "early", "explicit", None])
def test_when_the_session_is_locked(serve: Callable[..., Any], store_settings: Any, locking: str | None) -> None:
    """Before the page by default, before the body is read, or by the page itself."""
    seen: list[bool] = []

    class Root:
        @cherrypy.expose
        def index(self, **form: str) -> str:
            if not cherrypy.session.locked:
                seen.append(False)
                cherrypy.session.acquire_lock()
            cherrypy.session["a"] = 1
            return "ok"

    @cherrypy.tools.register("before_request_body", name="spy", priority=70)
    def spy() -> None:
        seen.append(cherrypy.session.locked)

    try:
        answer = serve(Root(), spy__on=True, sessions__locking=locking, **store_settings)("/", "POST", body=b"a=b")
    finally:
        del cherrypy.tools.spy

    assert answer.status == 200
    assert seen == {"implicit": [False], "early": [True]}.get(locking or "", [False, False])


def test_a_session_that_stays_busy_is_a_503(serve: Callable[..., Any], store_settings: Any, pages: Any) -> None:
    """``lock_timeout`` is how long a request waits for its predecessors; it is no error of the page's."""
    browser = serve(pages, sessions__lock_timeout=0.05, **store_settings)
    browser("/")
    entered, leave = threading.Event(), threading.Event()

    @cherrypy.expose
    def slow() -> str:
        entered.set()
        leave.wait(5)
        return ""

    pages.slow = slow
    thread = threading.Thread(target=lambda: browser("/slow"))
    thread.start()
    assert entered.wait(5)
    answer = browser("/")
    leave.set()
    thread.join(5)

    assert answer.status == 503
    assert browser("/").body == b"2"


def test_an_internal_redirect_gives_the_lock_on(serve: Callable[..., Any], store_settings: Any) -> None:
    """To a page with a session, and to one without."""

    class Root:
        @cherrypy.expose
        def index(self, to: str) -> str:
            cherrypy.session["from"] = "index"
            raise cherrypy.InternalRedirect(to)

        @cherrypy.expose
        def other(self) -> str:
            cherrypy.session["there"] = True
            return str(cherrypy.session.get("from"))

        @cherrypy.expose
        @cherrypy.config(**{"tools.sessions.on": False})
        def without(self) -> str:
            return "without"

    browser = serve(Root(), **store_settings)
    browser("/other")

    assert browser("/?to=/without").body == b"without"
    assert browser("/?to=/other").status == 200
    assert browser("/other").status == 200


def test_errors_before_the_session_is_there_do_no_harm(serve: Callable[..., Any], pages: Any) -> None:
    """Saving and closing run after every error, also one before ``init``."""

    @cherrypy.tools.register("on_start_resource", name="barrier")
    def barrier() -> None:
        raise cherrypy.HTTPError(402)

    try:
        status = serve(pages, sessions__on=True, barrier__on=True)("/").status
    finally:
        del cherrypy.tools.barrier

    assert status == 402


def test_the_session_of_another_request_is_not_saved_again(serve: Callable[..., Any], pages: Any) -> None:
    """What ``serving`` still has of a request that is over."""
    serve(pages, sessions__on=True, sessions__clean_freq=0)
    old = cherrypy.serving.session = sessions.RamSession(clean_freq=0)
    old["a"] = 1
    sessions.close()
    sessions.save()

    assert old.id not in sessions.RamSession.cache


@pytest.mark.parametrize("neighbour", ["x[1]=2", "a,b=1", 'x={"a": 1}', "=", "novalue", "\xfc=1", '"', "a=\x80"])
@pytest.mark.parametrize("order", ["{bad}; {good}", "{good}; {bad}"])
def test_a_malformed_neighbour_cookie_costs_nothing(
    serve: Callable[..., Any], pages: Any, neighbour: str, order: str
) -> None:
    """Other software on the same host must not log our users out."""
    browser = serve(pages, sessions__on=True, sessions__clean_freq=0)
    browser("/")
    good = f"session_id={browser.cookies['session_id']}"

    assert browser("/", headers={"Cookie": order.format(good=good, bad=neighbour)}).body == b"2"


def test_two_applications_have_a_store_each(serve: Callable[..., Any], tmp_path: Path) -> None:
    """In one process, with two kinds of store, or two places of one kind."""

    def site(**settings: Any) -> Any:
        from types import SimpleNamespace

        @cherrypy.expose
        def index() -> str:
            cherrypy.session["n"] = cherrypy.session.get("n", 0) + 1
            return f"{type(cherrypy.serving.session).__name__} {cherrypy.session['n']}"

        return serve(
            SimpleNamespace(index=index), sessions__on=True, **{f"sessions__{k}": v for k, v in settings.items()}
        )

    ram = site()
    one = site(storage_class=sessions.FileSession, storage_path=str(tmp_path / "one"), lock_timeout=0.5)
    two = site(storage_class="cherrypy.lib.sessions.FileSession", storage_path=str(tmp_path / "two"))

    assert ram("/").body == b"RamSession 1"
    assert [one("/").body, two("/").body, one("/").body] == [b"FileSession 1", b"FileSession 1", b"FileSession 2"]
    assert ram("/").body == b"RamSession 2"
    names = [[path.name for path in (tmp_path / name).iterdir() if path.suffix != ".lock"] for name in ("one", "two")]
    assert names == [[f"session-{one.cookies['session_id']}"], [f"session-{two.cookies['session_id']}"]]
    # what the one was told does not hold for the other
    assert sessions.FileSession.lock_timeout is None


def test_each_store_class_is_set_up_once(serve: Callable[..., Any], pages: Any) -> None:
    """Also the store of a second application, and with its settings."""
    calls = []

    class Store(sessions.RamSession):
        @classmethod
        def setup(cls, **kwargs: Any) -> None:
            calls.append((cls.__name__, kwargs))

    class Other(Store):
        pass

    for store in (Store, Other):
        browser = serve(
            pages, sessions__on=True, sessions__storage_class=store, sessions__extra=1, sessions__clean_freq=0
        )
        browser("/")
        browser("/")

    assert calls == [("Store", {"extra": 1}), ("Other", {"extra": 1})]


def test_settings_become_attributes_of_the_session(serve: Callable[..., Any]) -> None:
    """Those of the tool, and whatever a store of one's own wants to be told."""

    class Root:
        @cherrypy.expose
        def index(self) -> str:
            session = cherrypy.session
            return f"{session.timeout} {session.clean_freq} {session.debug} {session.extra} {session.lock_timeout}"

    browser = serve(
        Root(), sessions__on=True, sessions__timeout=7, sessions__clean_freq=0, sessions__debug=True,
        sessions__extra="x", sessions__lock_timeout=datetime.timedelta(seconds=2),
    )  # fmt: skip

    assert browser("/").body == b"7 0 True x 0:00:02"


def test_the_session_is_announced_when_the_first_is_there(serve: Callable[..., Any], pages: Any) -> None:
    """``cherrypy.session`` stands for that of the current request."""
    serve(pages, sessions__on=True, sessions__clean_freq=0)("/")

    assert type(cherrypy.session).__name__ == "ThreadLocalProxy"


def test_a_busy_session_that_the_page_locks_itself_raises(tmp_path: Path) -> None:
    """``LockTimeout``, to be caught by the page."""
    first = sessions.FileSession(storage_path=str(tmp_path), clean_freq=0)
    first.acquire_lock()
    first["a"] = 1
    first._save(first.now() + datetime.timedelta(hours=1))
    second = sessions.FileSession(first.id, storage_path=str(tmp_path), clean_freq=0, lock_timeout=0.01)

    with pytest.raises(LockTimeout, match=str(first.id)):
        second.acquire_lock()
    first.release_lock()
