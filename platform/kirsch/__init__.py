"""The deployment platform: CherryPy applications, and foreign ones beside them, as many processes behind nginx.

`docs/design.md` is the map of its rooms. Applications do not import it: they are written against `cherrypy` alone.
"""

from __future__ import annotations

from importlib import metadata

try:
    __version__ = metadata.version("kirsch")
except metadata.PackageNotFoundError:  # a folder on sys.path, never installed
    __version__ = "0.0.0"

__all__ = ["__version__"]
