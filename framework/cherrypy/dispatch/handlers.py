"""What a dispatcher puts into ``request.handler``: a page with its arguments."""

from __future__ import annotations

from typing import Any

from cherrypy.aio.pages import ASYNCHRONOUS, settle
from cherrypy.context import serving
from cherrypy.core.errors import HTTPError
from cherrypy.dispatch.signatures import getargspec, test_callable_spec

__all__ = ["LateParamPageHandler", "PageHandler", "getargspec", "test_callable_spec"]


class PageHandler:
    """A page and the arguments to call it with.

    Attributes:
        callable: the page.
        args: positional arguments; they live on the request, as ``request.args``.
        kwargs: keyword arguments, likewise.
    """

    def __init__(self, callable: Any, *args: Any, **kwargs: Any) -> None:
        self.callable = callable
        # PERF: what the setters below do, with one look at the thread's request instead of two
        request = serving.request
        request.args = args
        request.kwargs = kwargs

    @property
    def args(self) -> Any:
        """Positional arguments: the rest of the path."""
        return serving.request.args

    @args.setter
    def args(self, args: Any) -> None:
        serving.request.args = args

    @property
    def kwargs(self) -> Any:
        """Keyword arguments."""
        return serving.request.kwargs

    @kwargs.setter
    def kwargs(self, kwargs: Any) -> None:
        serving.request.kwargs = kwargs

    def __call__(self) -> Any:
        """Call the page.

        Raises:
            HTTPError: 404 or 400 if the arguments do not fit its signature.
        """
        args, kwargs = self.args, self.kwargs
        try:
            result = self.callable(*args, **kwargs)
        except TypeError as error:
            self.explain(error, args, kwargs)
            raise
        return settle(result) if result.__class__ in ASYNCHRONOUS else result

    def inner_handler(self) -> Any:
        """None: nothing is inside but the page. Its result may be still to come (``core.later``)."""
        return None

    def explain(self, error: TypeError, args: Any, kwargs: Any) -> None:
        """Raise the HTTPError that *error* means if it came of arguments that do not fit; else return."""
        try:
            test_callable_spec(self.callable, args, kwargs)
        except HTTPError as mismatch:
            raise mismatch from error


class LateParamPageHandler(PageHandler):
    """A page whose keyword arguments are ``request.params`` at the moment of the call, hooks and body included."""

    def __init__(self, callable: Any, *args: Any, **kwargs: Any) -> None:
        # PERF: the parent's constructor, written out; every request makes one of these
        self.callable = callable
        self._kwargs = kwargs
        request = serving.request
        request.args = args
        request.kwargs = kwargs

    def __call__(self) -> Any:
        """Call the page; see ``PageHandler``."""
        if self.__class__ is LateParamPageHandler and not self._kwargs:
            request = serving.request
            params = request._params
            if not params:
                # PERF: no parameters, no dicts: 0.6 us of a plain page
                try:
                    result = self.callable(*request.args)
                except TypeError as error:
                    self.explain(error, request.args, {})
                    raise
                return settle(result) if result.__class__ in ASYNCHRONOUS else result
        return PageHandler.__call__(self)

    inner_handler = PageHandler.inner_handler

    @property
    def kwargs(self) -> Any:
        """The request's parameters, and what was given besides."""
        params = serving.request.params
        return {**params, **self._kwargs} if self._kwargs else params.copy()

    @kwargs.setter
    def kwargs(self, kwargs: Any) -> None:
        serving.request.kwargs = kwargs
        self._kwargs = kwargs
