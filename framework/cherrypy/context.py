"""The only ambient state of the framework: which request and response the current thread serves.

Law: everything below a tool's or a page's first line passes ``request`` and ``response`` as arguments; the proxies
here are for applications.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from http.cookies import SimpleCookie

    from cherrypy.app.application import Application
    from cherrypy.core.formdata import RequestBody
    from cherrypy.core.request import Request
    from cherrypy.core.response import Response

    class CurrentRequest(Request):
        """What ``cherrypy.request`` is to a type checker: a Request on which tools and applications put attributes."""

        app: Application
        body: RequestBody
        config: dict[str, Any]
        cookie: SimpleCookie

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...
        def __delattr__(self, name: str) -> None: ...

    class CurrentResponse(Response):
        """What ``cherrypy.response`` is to a type checker: a Response that takes further attributes."""

        status: int | str | None
        cookie: SimpleCookie

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...
        def __delattr__(self, name: str) -> None: ...


# {name: why it is not there}
_EXPLAINED = {
    "session": "There is no session: tools.sessions.on is not set for this page, or this thread serves no request.",
}


class _Current:
    """The ``request`` or ``response`` of a thread: made when somebody looks, the default outside of any request.

    Once there is one it is found in the thread's dict, before this.
    """

    def __init__(self) -> None:
        self.default: Any = None

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self.default
        here = instance.__dict__
        unmade = here.pop("_unmade", None)
        if unmade is None:
            return self.default
        unmade[0](*unmade[1:])
        return here[self.name]


class Serving(threading.local):
    """The request and response of the current thread, and whatever else lives as long as they do.

    Outside a request there are a default request and response (``set_defaults``). Further attributes may be added
    (sessions put ``session`` here); ``clear`` drops them all.

    PERF: most pages look at neither, so those who begin a request may leave ``_unmade`` in the thread's dict instead:
    a function, which makes both and puts them here, and its arguments (5.3 -> 3.4 us for a plain page).
    """

    request: Any = _Current()
    response: Any = _Current()

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            _EXPLAINED.get(name, f"Nothing is called {name!r} in the request of this thread."), name=name
        )

    def load(self, request: Any, response: Any) -> None:
        """Make *request* and *response* the current ones of this thread."""
        self.request = request
        self.response = response

    def state(self) -> dict[str, Any]:
        """Return a copy of everything, to be put into the ``__dict__`` of this object in another thread."""
        here = self.__dict__
        if "_unmade" in here:
            self.load(self.request, self.response)  # made once, here, and not by each who carries it
        return here.copy()

    def clear(self) -> None:
        """Forget everything of this thread."""
        self.__dict__.clear()


class ThreadData(threading.local):
    """A plain name space for each thread, for applications (database connections and the like)."""


class ThreadLocalProxy:
    """An object that stands for ``serving.NAME`` of whichever thread touches it; ``isinstance`` sees that one, too."""

    __slots__ = ("__attrname__", "__dict__")
    __attrname__: str

    def __init__(self, attrname: str) -> None:
        object.__setattr__(self, "__attrname__", attrname)

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(serving, self.__attrname__), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(getattr(serving, self.__attrname__), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(getattr(serving, self.__attrname__), name)

    @property  # type: ignore[misc]  # assigning goes to the object behind, by __setattr__
    def __class__(self) -> Any:
        return getattr(serving, self.__attrname__).__class__

    @property
    def __origin__(self) -> Any:
        """The class that stands behind: pydoc describes it in the place of this one (``help(cherrypy.request)``)."""
        return self.__class__

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        child = getattr(serving, self.__attrname__)
        return {**child.__class__.__dict__, **child.__dict__}

    def __getitem__(self, key: Any) -> Any:
        return getattr(serving, self.__attrname__)[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        getattr(serving, self.__attrname__)[key] = value

    def __delitem__(self, key: Any) -> None:
        del getattr(serving, self.__attrname__)[key]

    def __contains__(self, key: Any) -> bool:
        return key in getattr(serving, self.__attrname__)

    def __iter__(self) -> Any:
        return iter(getattr(serving, self.__attrname__))

    def __len__(self) -> int:
        return len(getattr(serving, self.__attrname__))

    def __bool__(self) -> bool:
        return bool(getattr(serving, self.__attrname__))

    def __dir__(self) -> list[str]:
        return dir(getattr(serving, self.__attrname__))


def set_defaults(request: Any, response: Any) -> None:
    """Set what threads see that serve no request."""
    for name, default in (("request", request), ("response", response)):
        vars(Serving)[name].default = default


serving = Serving()
if TYPE_CHECKING:
    request: CurrentRequest
    response: CurrentResponse
else:
    request = ThreadLocalProxy("request")
    response = ThreadLocalProxy("response")
thread_data = ThreadData()

_announcers: list[Callable[[str, Any], None]] = []


def announce(name: str, value: Any) -> None:
    """Let *name* appear on the ``cherrypy`` module: some public names (``session``, ``_cache``, ``servers``) come late.

    Applications ask for them with ``hasattr``, so they must be absent until a tool or a configuration key creates them.
    """
    for set_public_name in _announcers:
        set_public_name(name, value)


def on_announce(set_public_name: Callable[[str, Any], None]) -> None:
    """Register the function that sets a late public name; ``_wiring`` does it once."""
    _announcers.append(set_public_name)
