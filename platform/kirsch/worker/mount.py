"""Loaded applications on CherryPy's tree, with their configurations."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import cherrypy
from cherrypy.lib.reprconf import as_dict
from kirsch.errors import SuperviseError
from kirsch.spec import App
from kirsch.worker.accel import accel_config
from kirsch.worker.graft import Graft
from kirsch.worker.isolation import BrokenMount, may_stand_alone, report_broken
from kirsch.worker.load import Loaded
from kirsch.worker.records import NamedRequests
from kirsch.worker.voice import Voice


def mount_all(apps: Iterable[Loaded], voice: Voice) -> None:
    """Mount and graft *apps* of the worker that *voice* speaks for.

    Raises:
        SuperviseError: two apps of the worker want one mount, or one of them needs another engine.
        OSError, ValueError: a configuration file cannot be read, with its path, section and key.
    """
    taken: dict[str, str] = {}
    for loaded in apps:
        script_name = loaded.app.mount.rstrip("/")
        if loaded.kind != "mounted" and script_name in taken:
            raise SuperviseError(
                f"app {loaded.app.name}: {loaded.app.mount} is taken by app {taken[script_name]} in the same worker; "
                "give one of them a pool of its own"
            )
        taken[script_name] = loaded.app.name
        try:
            mount(loaded, script_name, voice)
        except Exception as error:
            if not may_stand_alone(loaded.app, error):
                raise
            report_broken(loaded.app, error, voice)
            cherrypy.tree.graft(BrokenMount(), script_name)


def mount(loaded: Loaded, script_name: str, voice: Voice) -> None:
    """Put one application on the tree; its ``[global]`` section goes to the site's configuration."""
    config = read_config(loaded.app, voice.order.release_dir)
    site = config.pop("global", None)
    if site:
        cherrypy.config.update(site)
    if loaded.kind in ("root", "application") and (sent := accel_config(loaded.app, voice.order)):
        config["/"] = sent | config.get("/", {})
    if loaded.kind == "root":
        cherrypy.tree.mount(loaded.target, script_name, config)
    elif loaded.kind == "application":
        already = cherrypy.tree.apps.get(loaded.target.script_name) is loaded.target
        if already and loaded.target.script_name != script_name:
            del cherrypy.tree.apps[loaded.target.script_name]  # its module mounted it elsewhere; the stack decides
        loaded.target.script_name = script_name
        cherrypy.tree.apps[script_name] = loaded.target
        loaded.target.merge(config)
    elif loaded.kind == "wsgi":
        cherrypy.tree.graft(Graft(loaded.app, loaded.target, voice), script_name)
    elif loaded.kind == "broken":
        cherrypy.tree.graft(BrokenMount(), script_name)
    elif loaded.kind == "asgi":
        if voice.order.engine != "native":
            raise SuperviseError(
                f"app {loaded.app.name} is an ASGI application, which engine {voice.order.engine!r} cannot serve: "
                'give it a pool with engine = "native"'
            )
        cherrypy.tree.graft_asgi(NamedRequests(loaded.target), script_name)


def read_config(app: App, release_dir: str) -> dict[str, Any]:
    """Return the configuration of *app* as {section: {key: value}}; keys without a section belong to "/".

    Raises:
        OSError, ValueError: the file cannot be read.
    """
    if app.config is None:
        return {}
    if isinstance(app.config, str):
        return dict(as_dict(os.path.join(release_dir, app.config)))
    sections = {key: dict(value) for key, value in app.config.items() if isinstance(value, dict)}
    loose = {key: value for key, value in app.config.items() if not isinstance(value, dict)}
    if loose:
        sections["/"] = loose | sections.get("/", {})
    return sections
