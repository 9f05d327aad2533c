"""The documented plugins of the bus, under their documented name; each lives in a file of its own noun."""

from __future__ import annotations

from cherrypy.process.autoreload import Autoreloader
from cherrypy.process.identity import Daemonizer, DropPrivileges, PIDFile
from cherrypy.process.monitor import BackgroundTask, Monitor, PerpetualTimer
from cherrypy.process.plugin import SimplePlugin
from cherrypy.process.signals import SignalHandler
from cherrypy.process.threads import ThreadManager

__all__ = [
    "Autoreloader",
    "BackgroundTask",
    "Daemonizer",
    "DropPrivileges",
    "Monitor",
    "PIDFile",
    "PerpetualTimer",
    "SignalHandler",
    "SimplePlugin",
    "ThreadManager",
]
