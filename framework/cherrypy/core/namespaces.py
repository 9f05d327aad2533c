"""The four configuration namespaces of a request: hooks, request, response, error_page.

Each has a handler that acts on the current request, and a twin that writes into a plan.
"""

from __future__ import annotations

from typing import Any

from cherrypy.conf.expression import attributes
from cherrypy.conf.ini import NamespaceSet
from cherrypy.context import serving
from cherrypy.core import requestkeys
from cherrypy.core.entity import RequestBody
from cherrypy.core.hooks import Hook, HookMap
from cherrypy.core.plan import KeyCompiler, Plan, compilers, epoch


def hooks_namespace(k: str, v: Any) -> None:
    """Attach a bare hook: ``hooks.POINT[.anything] = callable, Hook or dotted name``."""
    _attach(serving.request.hooks, k, v)


def request_namespace(k: str, v: Any) -> None:
    """Set an attribute of the request, or with ``request.body.NAME`` of its body."""
    if k.startswith("body."):
        setattr(serving.request.body, k[5:], v)
    else:
        setattr(serving.request, k, v)


def response_namespace(k: str, v: Any) -> None:
    """Set an attribute of the response, or with ``response.headers.NAME`` a header."""
    if k.startswith("headers."):
        serving.response.headers[k[8:]] = v
    else:
        setattr(serving.response, k, v)


def error_page_namespace(k: str, v: Any) -> None:
    """Use a file or a callable as the page of an error: ``error_page.404``, ``error_page.default``."""
    serving.request.error_page[_page_key(k)] = v


def _attach(hooks: HookMap, key: str, value: Any) -> None:
    point = key.split(".", 1)[0]
    if point not in hooks:
        raise ValueError(f"hooks.{key}: there is no hook point {point!r}; there are {', '.join(hooks)}")
    if isinstance(value, str):
        try:
            value = attributes(value)
        except (ImportError, AttributeError, ValueError) as error:
            raise ValueError(f"hooks.{key} is {value!r}, which names nothing ({error})") from error
    if not isinstance(value, Hook):
        if not callable(value):
            raise TypeError(f"hooks.{key} is {value!r}; a hook is callable, or the dotted name of what is")
        value = Hook(value)
    hooks[point].append(value)


def _page_key(key: str) -> int | str:
    if key == "default":
        return key
    try:
        return int(key)
    except ValueError:
        raise ValueError(f"error_page.{key}: an error page is for a status code, such as 404, or 'default'") from None


def _compile_hook(plan: Plan, key: str, value: Any) -> None:
    _attach(plan.hooks, key, value)


def _compile_request(plan: Plan, key: str, value: Any) -> None:
    requestkeys.check(key, value)
    if key.startswith("body."):
        requestkeys.warn_of_misspelling(key, RequestBody)
        plan.body_attributes[key[5:]] = value
    else:
        requestkeys.warn_of_misspelling(key, type(serving.request))
        plan.request_attributes[key] = value


def _compile_response(plan: Plan, key: str, value: Any) -> None:
    if key.startswith("headers."):
        plan.response_headers[key[8:]] = value
    else:
        plan.response_attributes[key] = value


def _compile_error_page(plan: Plan, key: str, value: Any) -> None:
    plan.error_page[_page_key(key)] = value


class _Counted(NamespaceSet):
    """Namespaces that drop all plans when a handler is added or taken away."""

    is_counted = True

    def __setitem__(self, name: str, handler: Any) -> None:
        super().__setitem__(name, handler)
        epoch.bump()

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        epoch.bump()

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Take in further handlers."""
        super().update(*args, **kwargs)
        epoch.bump()

    def pop(self, *args: Any) -> Any:
        """Take a handler away and return it."""
        epoch.bump()
        return super().pop(*args)

    def copy(self) -> NamespaceSet:
        """Return a set of its own, that does not count."""
        return NamespaceSet(self)

    __copy__ = copy


namespaces: NamespaceSet = _Counted(
    {
        "hooks": hooks_namespace,
        "request": request_namespace,
        "response": response_namespace,
        "error_page": error_page_namespace,
    }
)

_TWINS: list[tuple[Any, KeyCompiler]] = [
    (hooks_namespace, _compile_hook),
    (request_namespace, _compile_request),
    (response_namespace, _compile_response),
    (error_page_namespace, _compile_error_page),
]
compilers.update(_TWINS)
