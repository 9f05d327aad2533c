"""``entry = "manage.py"``: a Django project by the file that it is managed with."""

from __future__ import annotations

import ast
import importlib
import os
import sys
from pathlib import Path
from typing import Any

from kirsch.errors import SuperviseError
from kirsch.spec import App

SETTINGS = "DJANGO_SETTINGS_MODULE"


def load_project(folder: str) -> Any:
    """Return the WSGI application of the Django project whose ``manage.py`` is in *folder*.

    Settings are, as for ``manage.py runserver``, what the environment says, else what the file says; the application
    is what the settings name in ``WSGI_APPLICATION``, else Django's own.

    Raises:
        SuperviseError: no settings are named anywhere, or the process is already another project's.
        ImportError: Django, or the project, is not there.
    """
    manage = Path(folder, "manage.py")
    wanted = os.environ[SETTINGS] = os.environ.get(SETTINGS) or find_settings(manage)
    conf = importlib.import_module("django.conf")
    _refuse_other(str(manage), wanted)
    named = conf.settings.WSGI_APPLICATION
    if named:
        module, _, name = named.rpartition(".")
        return getattr(importlib.import_module(module), name)
    return importlib.import_module("django.core.wsgi").get_wsgi_application()


def finish_project(app: App) -> None:
    """If *app* was a Django project: have its URLs imported now, and not by the first request.

    There a mistake in them would be a 500 of the running site, and they would find the neighbours' surroundings.

    Raises:
        SuperviseError: its environment asks for other settings than those of another app of the worker.
        BaseException: whatever the project's own code raises.
    """
    if SETTINGS in app.env:
        _refuse_other(f"app {app.name}", app.env[SETTINGS])
    conf = sys.modules.get("django.conf")
    if conf is not None and conf.settings.configured and hasattr(conf.settings, "ROOT_URLCONF"):
        _ = importlib.import_module("django.urls").get_resolver().url_patterns


def _refuse_other(who: str, wanted: str) -> None:
    conf = sys.modules.get("django.conf")
    if conf is not None and conf.settings.configured and getattr(conf.settings, "SETTINGS_MODULE", wanted) != wanted:
        raise SuperviseError(
            f"{who} wants the settings {wanted}, but this process is configured by {conf.settings.SETTINGS_MODULE}: "
            "Django knows one project a process; give one of the apps a pool of its own"
        )


def find_settings(manage: Path) -> str:
    """Return the settings module that a ``manage.py`` names; it is read, not run.

    Raises:
        SuperviseError: it names none.
    """
    tree = ast.parse(manage.read_bytes(), str(manage))
    for node in ast.walk(tree):
        # os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings"), or os.environ["…"] = "…"
        if isinstance(node, ast.Call) and len(node.args) == 2 and _text(node.args[0]) == SETTINGS:
            found = _text(node.args[1])
        elif isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Subscript) and _text(target.slice) == SETTINGS for target in node.targets
        ):
            found = _text(node.value)
        else:
            continue
        if found:
            return found
    raise SuperviseError(f"{manage} names no {SETTINGS}; write it into the app's env")


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
