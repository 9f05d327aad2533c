"""The login page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import cptools
from cherrypy.lib.sessionauth import SessionAuth, safe_page, session_auth


class Root:
    """A page for users."""

    @cherrypy.expose
    def default(self, *path: str) -> str:
        """Greet."""
        return f"hello {cherrypy.request.login}"


def check(username: str, password: str) -> str | None:
    """Know one user."""
    return None if (username, password) == ("anna", "geheim") else "Wrong <name> or password"


@pytest.fixture
def events() -> list[str]:
    """What the callbacks were told."""
    return []


@pytest.fixture
def browser(serve: Callable[..., Any], events: list[str]) -> Any:
    """The site behind the page."""
    return serve(
        Root(), sessions__on=True, sessions__clean_freq=0, session_auth__on=True, session_auth__debug=True,
        session_auth__check_username_and_password=check,
        session_auth__on_login=lambda name: events.append(f"in {name}"),
        session_auth__on_logout=lambda name: events.append(f"out {name}"),
        session_auth__on_check=lambda name: events.append(f"check {name}"),
    )  # fmt: skip


def log_in(browser: Any, form: bytes = b"username=anna&password=geheim") -> Any:
    """Send the form."""
    return browser("/do_login", "POST", body=form)


def test_a_stranger_sees_the_form_and_a_user_the_page(browser: Any, events: list[str]) -> None:
    """From login to logout."""
    assert b'<form method="post" action="do_login">' in browser("/").body
    assert log_in(browser).status == 303
    assert browser("/").body == b"hello anna"
    assert browser("/do_logout", "POST", body=b"").status == 303
    assert b"<form" in browser("/").body
    assert events == ["in anna", "check anna", "out anna"]


def test_the_session_s_id_changes_at_login(browser: Any) -> None:
    """SECURITY: session fixation."""
    browser("/")
    before = browser.cookies["session_id"]
    log_in(browser)

    assert browser.cookies["session_id"] != before


def test_nothing_of_the_client_gets_into_the_page_unescaped(browser: Any) -> None:
    """SECURITY: script injection through name, page and message (CWE-79)."""
    evil = b"username=%22%3E%3Cscript%3E&password=x&from_page=%22%3E%3Cscript%3E"
    page = log_in(browser, evil).body

    assert b"<script>" not in page
    assert b"&quot;&gt;&lt;script&gt;" in page
    assert b"Wrong &lt;name&gt;" in page
    assert b"<script>" not in browser("/login_screen?username=%3Cscript%3E").body


@pytest.mark.parametrize(
    "page",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "http://localhost.evil/",
     "\\\\evil", "http://[", "/a\r\nX: y", " //evil"],
)  # fmt: skip
def test_a_login_leads_nowhere_else(browser: Any, page: str) -> None:
    """SECURITY: open redirect (CWE-601)."""
    from urllib.parse import quote

    answer = log_in(browser, b"username=anna&password=geheim&from_page=" + quote(page).encode())

    assert answer.headers["Location"] == "http://localhost/"


@pytest.mark.parametrize("page", ["/a?b=c", "..", "http://localhost/x", "x/y"])
def test_addresses_of_this_site_are_kept(page: str) -> None:
    """Relative, absolute, with a query."""
    assert safe_page(page, "http://localhost") == page


def test_forms_are_posted_and_complete(browser: Any) -> None:
    """405 for a link, 400 for half a form."""
    assert browser("/do_login").status == browser("/do_logout").status == 405
    assert browser("/do_login").headers["Allow"] == "POST"
    for form in (b"", b"username=anna", b"username=a&username=b&password=c", b"self=1"):
        assert log_in(browser, form).status == 400


def test_visitors_may_have_a_name(serve: Callable[..., Any]) -> None:
    """``anonymous``."""
    browser = serve(
        Root(), sessions__on=True, sessions__clean_freq=0, session_auth__on=True,
        session_auth__anonymous=lambda: "guest",
    )  # fmt: skip

    assert browser("/").body == b"hello guest"


def test_nobody_gets_in_unless_configured(serve: Callable[..., Any]) -> None:
    """SECURITY: the default is closed."""
    browser = serve(Root(), sessions__on=True, sessions__clean_freq=0, session_auth__on=True)

    assert b"<form" in log_in(browser).body


def test_the_documented_names() -> None:
    """Of the class, its methods and their parameters, and where they are found."""
    import inspect

    def parameters(name: str) -> list[tuple[str, object]]:
        signature = inspect.signature(getattr(SessionAuth, name))
        return [(one.name, one.default) for one in signature.parameters.values()][1:]

    empty = inspect.Parameter.empty
    assert cptools.SessionAuth is SessionAuth
    assert cptools.session_auth is session_auth
    assert (SessionAuth.session_key, SessionAuth.debug) == ("username", False)
    assert parameters("login_screen") == [("from_page", ".."), ("username", ""), ("error_msg", ""), ("kwargs", empty)]
    assert parameters("do_login") == [("username", empty), ("password", empty), ("from_page", ".."), ("kwargs", empty)]
    assert parameters("do_logout") == [("from_page", ".."), ("kwargs", empty)]
    assert parameters("check_username_and_password") == [("username", empty), ("password", empty)]
    for name in ("on_login", "on_logout", "on_check"):
        assert parameters(name) == [("username", empty)]
        assert getattr(SessionAuth(), name)("anna") is None
    assert SessionAuth().anonymous() is None
    assert parameters("do_check") == parameters("run") == []


def test_it_can_be_subclassed(serve: Callable[..., Any]) -> None:
    """And made a tool of one's own, with a login page of one's own."""

    class Door(SessionAuth):
        session_key = "who"

        def check_username_and_password(self, username: str, password: str) -> str | None:
            return None if password == "sesame" else "no"

        def login_screen(self, from_page: str = "..", username: str = "", error_msg: str = "", **kwargs: Any) -> bytes:
            return f"knock {username} {error_msg}".encode()

    cherrypy.tools.door = cherrypy._cptools.HandlerTool(lambda: Door().run())
    try:
        browser = serve(Root(), sessions__on=True, sessions__clean_freq=0, door__on=True)
        assert browser("/").body == b"knock  "
        assert log_in(browser, b"username=ali&password=x").body == b"knock ali no"
        assert log_in(browser, b"username=ali&password=sesame").status == 303
        assert browser("/").body == b"hello ali"
    finally:
        del cherrypy.tools.door


def test_every_attribute_may_be_configured(serve: Callable[..., Any]) -> None:
    """``login_screen`` may return text, ``session_key`` names the user's place in the session."""
    browser = serve(
        Root(), sessions__on=True, sessions__clean_freq=0, session_auth__on=True, session_auth__session_key="u",
        session_auth__check_username_and_password=lambda username, password: "",
        session_auth__login_screen=lambda *args, **kwargs: "own p\xe4ge",
    )  # fmt: skip

    assert browser("/").body == "own p\xe4ge".encode()
    log_in(browser)
    data, _ = cherrypy.lib.sessions.RamSession.cache[browser.cookies["session_id"]]
    assert data == {"u": "anna"}


def test_the_page_for_visitors_stores_nothing(browser: Any) -> None:
    """A crawler leaves no sessions behind."""
    before = len(cherrypy.lib.sessions.RamSession.cache)
    for _ in range(3):
        browser.cookies.clear()
        browser("/")

    assert [data for data, _ in list(cherrypy.lib.sessions.RamSession.cache.values())[before:] if data] == []


def test_a_logout_leads_nowhere_else(browser: Any) -> None:
    """SECURITY: open redirect (CWE-601)."""
    log_in(browser)
    answer = browser("/do_logout", "POST", body=b"from_page=https%3A%2F%2Fevil.example%2F")

    assert answer.headers["Location"] == "http://localhost/"


def test_the_old_session_is_worth_nothing_after_the_logout(browser: Any) -> None:
    """SECURITY: a stolen id ends with the session."""
    log_in(browser)
    stolen = browser.cookies["session_id"]
    browser("/do_logout", "POST", body=b"")

    assert b"<form" in browser("/", headers={"Cookie": f"session_id={stolen}"}).body


@pytest.mark.parametrize("query", ["self=1", "from_page=a&from_page=b", "unknown=1"])
def test_strange_parameters_of_the_login_page_are_no_error(browser: Any, query: str) -> None:
    """4xx at most."""
    assert browser(f"/login_screen?{query}").status in (200, 400)


def test_the_login_page_leads_back_to_where_one_was(browser: Any) -> None:
    """With the query."""
    assert b'value="http://localhost/x?a=b&amp;c=d"' in browser("/x?a=b&c=d").body


def test_without_sessions_the_cure_is_told(serve: Callable[..., Any]) -> None:
    """The tool needs another one."""
    answer = serve(Root(), session_auth__on=True)("/")

    assert answer.status == 500
    assert b"set tools.sessions.on = True" in answer.body
