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


def getargspec(callable: Any) -> tuple[list[str], str | None, str | None, tuple[Any, ...] | None]:
    """Return names of positional parameters, of ``*args``, of ``**kwargs``, and the defaults of the last positional."""
    return inspect.getfullargspec(callable)[:4]


def test_callable_spec(callable: Any, callable_args: Any, callable_kwargs: Any) -> None:
    """Raise the HTTPError that a mismatch of arguments and signature deserves; return if they fit.

    Raises:
        HTTPError: 404 or 400, see the table above.
    """
    spec = _spec_of(callable)
    if spec is None:
        return
    names = spec.args[1:] if _is_bound(callable) else spec.args
    usage = _usage(spec, names, callable_args, callable_kwargs)
    missing = sorted(name for name, count in usage.items() if not count)
    if missing:
        raise _mismatch(404, "Missing parameters", missing)
    if len(callable_args) > len(names) and not spec.varargs:
        raise HTTPError(404)
    in_body = _body_names(serving.request)
    repeated = {name for name, count in usage.items() if count > 1}
    if spec.varkw and _is_bound(callable):
        # SECURITY: "?self=1" for a page with **kwargs would be a 500 with a traceback
        repeated.update(name for name in spec.args[:1] if name in callable_kwargs)
    if repeated:
        # one value is in the path, the other here or there
        raise _mismatch(400 if repeated <= in_body else 404, "Multiple values for parameters", sorted(repeated))
    unknown = set(callable_kwargs) - set(usage) - set(spec.kwonlyargs)
    if unknown and not spec.varkw:
        if unknown - in_body:
            raise _mismatch(404, "Unexpected query string parameters", sorted(unknown - in_body), ", ")
        raise _mismatch(400, "Unexpected body parameters", sorted(unknown), ", ")


def _mismatch(status: int, what: str, names: Iterable[str], separator: str = ",") -> HTTPError:
    message = f"{what}: {separator.join(names)}" if serving.request.show_mismatched_params else None
    return HTTPError(status, message)


def _body_names(request: Any) -> set[str]:
    body = request.__dict__.get("body") if hasattr(request, "__dict__") else None
    return set(getattr(body, "params", None) or ())


def _spec_of(callable: Any) -> inspect.FullArgSpec | None:
    """Return the signature of *callable* or, for an object, of its ``__call__``; None if it cannot be known."""
    for candidate in (callable, getattr(callable, "__call__", None)):  # noqa: B004
        try:
            return inspect.getfullargspec(candidate)
        except TypeError:
            continue
    return None


def _is_bound(callable: Any) -> bool:
    """True if the first parameter of the signature is filled already: methods, objects with ``__call__``, classes."""
    return inspect.ismethod(callable) or not inspect.isroutine(callable)


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
