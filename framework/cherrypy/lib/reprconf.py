"""The documented names of ``cherrypy.lib.reprconf``; everything lives in ``cherrypy.conf``."""

from __future__ import annotations

from cherrypy.conf.expression import attributes, modules, unrepr
from cherrypy.conf.ini import Config, NamespaceSet, Parser, as_dict

text_or_bytes = (str, bytes)

__all__ = ["Config", "NamespaceSet", "Parser", "as_dict", "attributes", "modules", "text_or_bytes", "unrepr"]
