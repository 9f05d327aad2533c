"""The login page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import cherrypy
from cherrypy.lib.sessionauth import safe_page


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
