"""The documented names of ``cherrypy.lib.reprconf``."""

from __future__ import annotations

import io

import cherrypy
from cherrypy.conf import expression, ini
from cherrypy.lib import reprconf


def test_the_names_are_those_of_the_configuration() -> None:
    """One implementation, under two names."""
    assert reprconf.unrepr is expression.unrepr
    assert (reprconf.attributes, reprconf.modules) == (expression.attributes, expression.modules)
    assert (reprconf.Config, reprconf.Parser, reprconf.NamespaceSet) == (ini.Config, ini.Parser, ini.NamespaceSet)
    assert reprconf.as_dict is ini.as_dict
    assert reprconf.text_or_bytes == (str, bytes)


def test_applications_make_configurations_of_their_own() -> None:
    """With namespaces, defaults and environments as class attributes."""
    told: list[tuple[str, object]] = []

    class Own(reprconf.Config):
        defaults = {"db.host": "localhost"}
        environments = {"live": {"db.host": "db1"}}
        namespaces = reprconf.NamespaceSet(db=lambda key, value: told.append((key, value)))

    config = Own(io.StringIO("[global]\ndb.port = 5 + 5\n"))
    before = dict(config)
    config.update({"environment": "live"})

    assert before == {"db.host": "localhost", "global": {"db.port": 10}}
    assert config["db.host"] == "db1"
    assert told == [("host", "db1")]


def test_the_site_s_is_one_of_them() -> None:
    """``isinstance`` holds, as in CherryPy."""
    assert isinstance(cherrypy.config, reprconf.Config)
