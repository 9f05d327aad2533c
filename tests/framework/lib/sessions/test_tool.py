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


@pytest.mark.parametrize("touches", [True, False])
def test_a_request_beside_the_login_does_not_bring_the_old_cookie_back(
    serve: Callable[..., Any], store_settings: Any, touches: bool
) -> None:
    """Its answer comes after the login's: with a cookie of the old id it would log the user out."""
    entered, begun, leave = threading.Event(), threading.Event(), threading.Event()

    def tell() -> None:
        begun.set()

    # behind the session's own hook
    tell.priority = 70  # type: ignore[attr-defined]

    class Root:
        @cherrypy.expose
        def index(self) -> str:
            return str(cherrypy.session.setdefault("user", "nobody"))

        @cherrypy.expose
        def login(self) -> str:
            entered.set()
            leave.wait(5)
            cherrypy.session.regenerate()
            cherrypy.session["user"] = "anna"
            return "in"

        @cherrypy.expose
        @cherrypy.config(**{"hooks.before_request_body": tell})
        def beside(self) -> str:
            return str(cherrypy.session.get("user")) if touches else "untouched"

    browser = serve(Root(), **store_settings)
    browser("/")
    old = {"Cookie": f"session_id={browser.cookies['session_id']}"}
    answers: dict[str, Any] = {}

    def ask(path: str) -> threading.Thread:
        thread = threading.Thread(target=lambda: answers.update({path: browser(path, headers=old)}))
        thread.start()
        return thread

    login = ask("/login")
    assert entered.wait(5)
    beside = ask("/beside")
    assert begun.wait(5)
    leave.set()
    login.join(5)
    beside.join(5)

    assert answers["/login"].cookies
    assert answers["/beside"].status == 200
    assert answers["/beside"].cookies == []
    assert browser("/").body == b"anna"


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


def test_what_is_set_before_an_internal_redirect_is_kept(serve: Callable[..., Any], store_settings: Any) -> None:
    """For new visitors too, and under a new id: a login may lead on by one."""

    class Root:
        @cherrypy.expose
        def index(self, regenerate: str = "") -> str:
            if regenerate:
                cherrypy.session.regenerate()
            cherrypy.session["user"] = "anna"
            raise cherrypy.InternalRedirect("/home")

        @cherrypy.expose
        def home(self) -> str:
            return str(cherrypy.session.get("user"))

    browser = serve(Root(), **store_settings)
    for query in ("", "?regenerate=1"):
        browser.cookies.clear()
        assert browser(f"/{query}").body == b"anna"
        assert browser("/home").body == b"anna"
    old = browser.cookies["session_id"]

    assert browser("/?regenerate=1").body == b"anna"
    assert browser.cookies["session_id"] != old
    assert browser("/home").body == b"anna"


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
