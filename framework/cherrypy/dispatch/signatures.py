"""Whether the arguments of a request fit a page, and if not, whose mistake it is.

What comes with the URL (path segments, query) and does not fit means that there is no such page: 404. What comes in the
body and does not fit is a bad request: 400.

    wrong                          in the URL   in the body
    a parameter is missing            404           404
    a parameter has two values        404           400
    a parameter is not known          404           400
    too many path segments            404            -
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError

getargspec = inspect.getfullargspec


def test_callable_spec(callable: Any, callable_args: Any, callable_kwargs: Any) -> None:
    """Raise the HTTPError that a mismatch of arguments and signature deserves; return if they fit.

    Raises:
        HTTPError: 404 or 400, see the table above.
    """
    spec = _spec_of(callable)
    if spec is None:
        return
    spec_args, callable_args = _without_bound(callable, spec, callable_args)
    request = serving.request
    usage = _usage(spec, spec_args, callable_args, callable_kwargs)
    missing = sorted(name for name, count in usage.items() if not count)
    if missing:
        # In a body or not: the URL is not one of this page's.
        raise _mismatch(404, "Missing parameters", missing)
    too_many_positional = not spec.varargs and len(callable_args) > len(spec_args)
    if too_many_positional:
        raise HTTPError(404)
    repeated = [name for name, count in usage.items() if count > 1]
    if repeated:
        # a value in the path and one elsewhere
        status = 400 if set(repeated) <= _body_names(request) else 404
        raise _mismatch(status, "Multiple values for parameters", repeated)
    unknown = set(callable_kwargs) - set(usage) - set(spec.kwonlyargs)
    if unknown and not spec.varkw:
        in_body = unknown & _body_names(request)
        in_url = unknown - in_body
        if in_url:
            raise _mismatch(404, "Unexpected query string parameters", sorted(in_url))
        raise _mismatch(400, "Unexpected body parameters", sorted(in_body))


def _mismatch(status: int, what: str, names: Iterable[str]) -> HTTPError:
    message = f"{what}: {','.join(names)}" if serving.request.show_mismatched_params else None
    return HTTPError(status, message)


def _body_names(request: Any) -> set[str]:
    body = request.__dict__.get("body") if hasattr(request, "__dict__") else None
    return set(getattr(body, "params", None) or ())


def _spec_of(callable: Any) -> inspect.FullArgSpec | None:
    """Return the signature of *callable* or, for an object, of its ``__call__``; None if it cannot be known."""
    try:
        return getargspec(callable)
    except TypeError:
        pass
    try:
        return getargspec(callable.__call__)
    except (TypeError, AttributeError):
        return None


def _without_bound(callable: Any, spec: inspect.FullArgSpec, given: Any) -> tuple[list[str], Any]:
    """Return the names of positional parameters without ``self``."""
    names = spec.args
    function = callable if inspect.ismethod(callable) else None
    if function is None and not inspect.isroutine(callable):
        function = callable.__init__ if inspect.isclass(callable) else getattr(callable, "__call__", None)  # noqa: B004
    if names and (inspect.ismethod(function) or inspect.isclass(callable)):
        names = names[1:]
    return names, given


def _usage(spec: inspect.FullArgSpec, names: list[str], args: Any, kwargs: Any) -> dict[str, int]:
    """Return how many values each named parameter gets; defaults count as one if nothing else does."""
    usage = dict.fromkeys(names, 0)
    for name in kwargs:
        if name in usage:
            usage[name] += 1
    for name, _ in zip(names, args, strict=False):
        usage[name] += 1
    defaulted = names[len(names) - len(spec.defaults) :] if spec.defaults else []
    for name in defaulted:
        usage[name] = usage[name] or 1
    for name in spec.kwonlyargs:
        if name not in kwargs and name not in (spec.kwonlydefaults or {}):
            usage[name] = 0
    return usage
