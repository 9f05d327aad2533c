"""The page that shows ``logging.statistics``: mount ``StatsPage()`` where only operators come.

Importing this module, with ``tools.cpstats.on``, is all that is needed to collect.
"""

from __future__ import annotations

import html
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError, HTTPRedirect, NotFound
from cherrypy.core.expose import expose
from cherrypy.lib.statistics import (
    ByteCountWrapper,
    StatsTool,
    appstats,
    average_uriset_time,
    extrapolate_statistics,
    proc_time,
)

__all__ = [
    "ByteCountWrapper",
    "StatsPage",
    "StatsTool",
    "appstats",
    "average_uriset_time",
    "extrapolate_statistics",
    "iso_format",
    "locale_date",
    "missing",
    "pause_resume",
    "proc_time",
]

missing = object()

Format = str | Callable[[Any], str] | None

_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
    <meta charset="utf-8">
    <title>Statistics</title>
    <style>
    body { margin: 2em; font: .9em/1.4 sans-serif; }
    table { border-collapse: collapse; margin-bottom: 1.5em; }
    th, td { border: 1px solid #bbb; padding: .2em .6em; text-align: left; }
    </style>
</head>
<body>
"""


def locale_date(v: float) -> str:
    """*v*, seconds since the epoch, as the locale writes dates, in UTC."""
    return time.strftime("%c", time.gmtime(v))


def iso_format(v: float) -> str:
    """*v*, seconds since the epoch, as 2026-11-21 03:12:07, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(v))


def pause_resume(ns: str) -> Callable[[bool], str]:
    """Return a format for 'Enabled' of the namespace *ns*: its state, and the buttons that change it."""
    name = html.escape(ns, quote=True)

    def show(enabled: bool) -> str:
        def button(verb: str, label: str, active: bool) -> str:
            return (
                f'<form action="{verb}" method="post" style="display: inline">'
                f'<input type="hidden" name="namespace" value="{name}">'
                f'<input type="submit" value="{label}"{"" if active else " disabled"}></form>'
            )

        state = "collecting" if enabled else "paused"
        return f"{state} {button('pause', 'Pause', enabled)} {button('resume', 'Resume', not enabled)}"

    return show


class StatsPage:
    """The statistics as a page, and at ``data`` as JSON.

    Attributes:
        formatting: {namespace: {title: format}}; a format is a %-template, a function, None to leave the row out, or
            for a title with a table below it a dict of its columns' formats.
    """

    formatting: dict[str, dict[str, Any]] = {
        "CherryPy Applications": {
            "Enabled": pause_resume("CherryPy Applications"),
            "Bytes Read/Request": "%.3f",
            "Bytes Read/Second": "%.3f",
            "Bytes Written/Request": "%.3f",
            "Bytes Written/Second": "%.3f",
            "Current Time": iso_format,
            "Requests/Second": "%.3f",
            "Start Time": iso_format,
            "Total Time": "%.3f",
            "Uptime": "%.3f",
            "Slow Queries": {
                "End Time": None,
                "Processing Time": "%.3f",
                "Start Time": iso_format,
            },
            "URI Set Tracking": {"Avg": "%.3f", "Max": "%.3f", "Min": "%.3f", "Sum": "%.3f"},
            "Requests": {
                "Bytes Read": "%s",
                "Bytes Written": "%s",
                "End Time": None,
                "Processing Time": "%.3f",
                "Start Time": None,
            },
        },
        "CherryPy WSGIServer": {
            "Enabled": pause_resume("CherryPy WSGIServer"),
            "Connections/second": "%.3f",
            "Start time": iso_format,
        },
    }

    @expose
    def index(self) -> Iterator[bytes]:
        """The statistics of all namespaces."""
        page = [_HEAD]
        for title, scalars, collections in self.get_namespaces():
            page.append(f"<h1>{html.escape(title)}</h1>\n<table>\n")
            page += [_row(title, str(name), value) for name, value in scalars]
            page.append("</table>\n")
            for name, columns, rows in collections:
                page.append(f"<h2>{html.escape(str(name))}</h2>\n<table>\n<tr>")
                page += [f"<th>{html.escape(str(column))}</th>" for column in columns]
                page.append("</tr>\n")
                page += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in rows]
                page.append("</table>\n")
        page.append("</body>\n</html>\n")
        serving.response.headers["Content-Type"] = "text/html;charset=utf-8"
        return iter(["".join(page).encode("utf-8")])

    def get_namespaces(self) -> Iterator[tuple[str, list[tuple[Any, str]], list[tuple[Any, list[str], list[Any]]]]]:
        """Yield (title, [(name, html)], [(name, column titles, rows of html)]) for each namespace."""
        statistics: dict[str, Any] = logging.statistics  # type: ignore[attr-defined]
        for title, scope in sorted(extrapolate_statistics(statistics).items()):
            if not isinstance(scope, dict):
                continue
            formats = self.formatting.get(title, {})
            scalars, collections = [], []
            for name, value in sorted(scope.items(), key=lambda item: str(item[0])):
                form = formats.get(name, "%s")
                if isinstance(value, dict):
                    collections.append((name, *self.get_dict_collection(value, _columns(form))))
                elif isinstance(value, list | tuple):
                    collections.append((name, *self.get_list_collection(value, _columns(form))))
                elif form is not None:
                    scalars.append((name, _shown(value, form)))
            yield title, scalars, collections

    def get_dict_collection(self, v: dict[Any, Any], formatting: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
        """Return (column titles, rows) of a dict of records; the key is the first column."""
        records = {key: record for key, record in v.items() if isinstance(record, dict)}
        columns = _titles(records.values(), formatting)
        rows = [
            [html.escape(str(key)), *(_cell(record, column, formatting) for column in columns)]
            for key, record in sorted(records.items(), key=lambda item: str(item[0]))
        ]
        return ["ID", *columns], rows

    def get_list_collection(self, v: Any, formatting: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
        """Return (column titles, rows) of a list of records."""
        records = [record for record in v if isinstance(record, dict)]
        columns = _titles(records, formatting)
        return columns, [[_cell(record, column, formatting) for column in columns] for record in records]

    @expose
    def data(self) -> bytes:
        """The statistics as JSON."""
        statistics: dict[str, Any] = logging.statistics  # type: ignore[attr-defined]
        serving.response.headers["Content-Type"] = "application/json"
        return json.dumps(extrapolate_statistics(statistics), sort_keys=True, indent=4, default=str).encode("utf-8")

    @expose
    def pause(self, namespace: str) -> None:
        """Stop collecting for *namespace*.

        Raises:
            HTTPError: 405 unless POSTed; NotFound for an unknown namespace; HTTPRedirect to the page.
        """
        _set_enabled(namespace, False)

    @expose
    def resume(self, namespace: str) -> None:
        """Collect for *namespace* again.

        Raises:
            HTTPError: 405 unless POSTed; NotFound for an unknown namespace; HTTPRedirect to the page.
        """
        _set_enabled(namespace, True)


def _row(title: str, name: str, value: str) -> str:
    # COMPAT: scripts pick values out of CherryPy's page by these ids
    mark = html.escape(f"{title}-{name}", quote=True)
    return f'<tr><th>{html.escape(name)}</th><td id="{mark}">{value}</td></tr>\n'


def _set_enabled(namespace: str, enabled: bool) -> None:
    # SECURITY: a link or an image must not be able to stop the statistics
    if serving.request.method != "POST":
        serving.response.headers["Allow"] = "POST"
        raise HTTPError(405)
    scope = logging.statistics.get(namespace)  # type: ignore[attr-defined]
    if not isinstance(scope, dict):
        raise NotFound()
    scope["Enabled"] = enabled
    raise HTTPRedirect("./")


def _columns(form: Any) -> dict[str, Any]:
    return form if isinstance(form, dict) else {}


def _titles(records: Any, formatting: dict[str, Any]) -> list[str]:
    names = {str(name) for record in records for name in record}
    return sorted(name for name in names if formatting.get(name, missing) is not None)


def _cell(record: dict[Any, Any], column: str, formatting: dict[str, Any]) -> str:
    return _shown(record.get(column), formatting.get(column, "%s"))


def _shown(value: Any, form: Format) -> str:
    """*value* as HTML. Functions write their own; everything else is escaped."""
    if callable(form):
        return form(value)
    if value is None:
        return ""
    try:
        return html.escape((form or "%s") % value)
    except (TypeError, ValueError):
        return html.escape(str(value))
