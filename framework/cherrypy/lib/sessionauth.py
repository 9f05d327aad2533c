"""The session_auth tool: a login page in front of pages, the user's name in the session."""

from __future__ import annotations

import html
import re
import urllib.parse
from typing import Any

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError, HTTPRedirect
from cherrypy.core.logs import log
from cherrypy.core.urls import url

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
    <meta charset="utf-8">
    <title>Log in</title>
</head>
<body>
    <p role="alert">{message}</p>
    <form method="post" action="do_login">
        <p><label>Login: <input type="text" name="username" value="{username}" autocomplete="username"></label></p>
        <p><label>Password: <input type="password" name="password" autocomplete="current-password"></label></p>
        <input type="hidden" name="from_page" value="{from_page}">
        <p><input type="submit" value="Log in"></p>
    </form>
</body>
</html>
"""

_UNSAFE_IN_LOCATION = re.compile(r"[\x00-\x20\x7f\\]")


def safe_page(page: str, base: str) -> str:
    r"""Return *page* if it is an address of this site, '/' for anything else.

    Args:
        page: a path or URL, as a client sent it.
        base: scheme://host of this site.

    SECURITY: open redirects (CWE-601), among them '//host', '\\host' and 'javascript:'.
    """
    if not page or _UNSAFE_IN_LOCATION.search(page) or page.startswith("//"):
        return "/"
    try:
        parts = urllib.parse.urlsplit(page)
    except ValueError:
        return "/"
    if not parts.scheme and not parts.netloc:
        return page
    return page if f"{parts.scheme}://{parts.netloc}" == base else "/"


class SessionAuth:
    """What the session_auth tool does; override its methods, or set them in configuration.

    Attributes:
        session_key: where the session keeps the user's name.
        debug: log what is decided.
    """

    session_key = "username"
    debug = False

    def check_username_and_password(self, username: str, password: str) -> str | None:
        """Return what is wrong with the credentials, None (or '') when nothing is. Nobody gets in by default."""
        return "Nobody can log in here: check_username_and_password is not configured."

    def anonymous(self) -> str | None:
        """Return a user name for clients that have not logged in, None to make them."""
        return None

    def on_login(self, username: str) -> None:
        """Called after a login."""

    def on_logout(self, username: str) -> None:
        """Called after a logout."""

    def on_check(self, username: str) -> None:
        """Called for each request of a user who is logged in."""

    def login_screen(self, from_page: str = "..", username: str = "", error_msg: str = "", **kwargs: Any) -> bytes:
        """Return the login page.

        SECURITY: all three values come back from the client and are escaped (CWE-79).
        """
        fields = {"message": error_msg, "username": username, "from_page": from_page}
        page = _PAGE.format(**{name: html.escape(str(value or ""), quote=True) for name, value in fields.items()})
        serving.response.headers["Content-Type"] = "text/html;charset=utf-8"
        return page.encode("utf-8")

    def do_login(self, username: str, password: str, from_page: str = "..", **kwargs: Any) -> bool:
        """Log the user in and go to *from_page*, or show the login page again.

        Raises:
            HTTPRedirect: logged in.
        """
        error_msg = self.check_username_and_password(username, password)
        if error_msg:
            self._debug_message(
                "refused login: %(username)r: %(error_msg)s", {"username": username, "error_msg": error_msg}
            )
            self._show(self.login_screen(from_page, username, error_msg))
            return True
        request = serving.request
        request.login = username
        session = serving.session
        # SECURITY: session fixation; an id from before the login must not name the session after it
        session.regenerate()
        session[self.session_key] = username
        self.on_login(username)
        raise HTTPRedirect(safe_page(from_page or "/", request.base))

    def do_logout(self, from_page: str = "..", **kwargs: Any) -> bool:
        """Log the user out and go to *from_page*.

        Raises:
            HTTPRedirect: always.
        """
        request, session = serving.request, serving.session
        username = session.get(self.session_key)
        session[self.session_key] = None
        if username:
            request.login = None
            session.regenerate()
            self.on_logout(username)
        raise HTTPRedirect(safe_page(from_page, request.base))

    def do_check(self) -> bool | None:
        """Let users pass, show the login page to others; True when it is shown."""
        request, session = serving.request, serving.session
        username = session.get(self.session_key)
        if not username:
            self._debug_message("No session[username], trying anonymous")
            username = self.anonymous()
            if username:
                session[self.session_key] = username
        if not username:
            page = url(qs=request.query_string)
            self._debug_message("No username, routing to login_screen with from_page %(url)r", {"url": page})
            self._show(self.login_screen(page))
            return True
        self._debug_message("Setting request.login to %(username)r", {"username": username})
        request.login = username
        self.on_check(username)
        return None

    def run(self) -> Any:
        """Act on the request's path: its end may be login_screen, do_login or do_logout.

        Raises:
            HTTPError: 405 for do_login or do_logout by anything but POST.
        """
        request = serving.request
        if getattr(serving, "session", None) is None:
            raise RuntimeError("tools.session_auth keeps the user in the session: set tools.sessions.on = True")
        path = request.path_info
        if path.endswith("login_screen"):
            self._show(self.login_screen(**self._form(request.params, "login_screen")))
            return True
        for name in ("do_login", "do_logout"):
            if path.endswith(name):
                if request.method != "POST":
                    serving.response.headers["Allow"] = "POST"
                    raise HTTPError(405)
                self._debug_message("routing %(path)r to %(name)s", {"path": path, "name": name})
                return getattr(self, name)(**self._form(request.params, name))
        return self.do_check()

    def _form(self, params: dict[str, Any], name: str) -> dict[str, Any]:
        """The parameters that *name* may be called with.

        Raises:
            HTTPError: 400 when the login form is incomplete, or was filled twice.
        """
        form = {key: value for key, value in params.items() if key != "self"}
        required = ("username", "password") if name == "do_login" else ()
        if any(not isinstance(form.get(key), str) for key in required):
            raise HTTPError(400, "The login form is incomplete.")
        if not isinstance(form.get("from_page", ""), str):
            raise HTTPError(400, "The login form is incomplete.")
        return form

    def _show(self, page: Any) -> None:
        response = serving.response
        response.body = page.encode("utf-8") if isinstance(page, str) else page
        response.headers.pop("Content-Length", None)

    def _debug_message(self, template: str, context: dict[str, Any] | None = None) -> None:
        if self.debug:
            log(template % (context or {}), "TOOLS.SESSAUTH")


def session_auth(**kwargs: Any) -> Any:
    """Show a login page to clients who have not logged in.

    Any attribute of ``SessionAuth`` may be given: ``check_username_and_password``, ``anonymous``, ``on_login``,
    ``on_logout``, ``on_check``, ``login_screen``, ``session_key``, ``debug``. Needs the sessions tool.
    """
    auth = SessionAuth()
    for name, value in kwargs.items():
        setattr(auth, name, value)
    return auth.run()
