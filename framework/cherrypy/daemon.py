"""The ``cherryd`` command: imports an application, configures it, and runs it to the end."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterable
from typing import Any

import cherrypy
from cherrypy import Application
from cherrypy.process import plugins, servers

__all__ = ["main", "run", "start"]

# Ways to serve without HTTP, by the name of their option.
GATEWAYS = {
    "fastcgi": servers.FlupFCGIServer,
    "scgi": servers.FlupSCGIServer,
    "cgi": servers.FlupCGIServer,
}


def start(
    configfiles: Iterable[str] | None = None,
    daemonize: bool = False,
    environment: str | None = None,
    fastcgi: bool = False,
    scgi: bool = False,
    pidfile: str | None = None,
    imports: Iterable[str] | None = None,
    cgi: bool = False,
) -> None:
    """Import, configure, start, and block until the engine exits; ends the process with 1 if it cannot start.

    Args:
        configfiles: files for the site; merged into the application as well when exactly one is mounted.
        daemonize: leave the terminal.
        environment: name of a configuration template.
        fastcgi: serve FastCGI at the server's address, through flup.
        scgi: the same with SCGI.
        pidfile: where to write the process id.
        imports: modules that mount the applications.
        cgi: the same with CGI.
    """
    sys.path.insert(0, "")
    for name in imports or ():
        importlib.import_module(name)
    for file in configfiles or ():
        configure(file)
    engine = cherrypy.engine
    if environment is not None:
        cherrypy.config.update({"environment": environment})
    if daemonize:
        cherrypy.config.update({"log.screen": False})  # there is no screen any more
        plugins.Daemonizer(engine).subscribe()
    if pidfile:
        plugins.PIDFile(engine, pidfile).subscribe()
    signals = getattr(engine, "signals", None)
    if signals is not None:
        signals.subscribe()
    chosen = [name for name, is_on in (("fastcgi", fastcgi), ("scgi", scgi), ("cgi", cgi)) if is_on]
    if len(chosen) > 1:
        cherrypy.log.error("You may only specify one of the cgi, fastcgi, and scgi options.", "ENGINE")
        sys.exit(1)
    if chosen:
        use_gateway(chosen[0])
    try:
        engine.start()
    except KeyboardInterrupt:
        pass  # what had started has stopped again
    except Exception:
        sys.exit(1)  # the bus has logged why
    engine.block()


def configure(file: str) -> None:
    """Give *file* to the site, and to the application when there is exactly one."""
    cherrypy.config.update(file)
    applications: list[Any] = list(cherrypy.tree.apps.values())
    if len(applications) == 1 and isinstance(applications[0], Application):
        applications[0].merge(file)


def use_gateway(name: str) -> None:
    """Serve through flup at the address of ``cherrypy.server``, and not by HTTP."""
    # Such a server's process belongs to the web server: it must not replace itself.
    cherrypy.config.update({"engine.autoreload.on": False})
    cherrypy.server.unsubscribe()
    address = cherrypy.server.bind_addr
    options = {} if name == "cgi" else {"bindAddress": address}
    gateway = GATEWAYS[name](application=cherrypy.tree, **options)
    servers.ServerAdapter(cherrypy.engine, httpserver=gateway, bind_addr=address).subscribe()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(prog="cherryd", description="Run CherryPy applications.")
    add = command.add_argument
    add("-c", "--config", action="append", dest="config", metavar="FILE", help="configuration file; may be repeated")
    add("-d", "--daemonize", action="store_true", dest="daemonize", help="leave the terminal and run as a daemon")
    add("-e", "--environment", dest="environment", metavar="NAME", help="configuration template, e.g. production")
    add("-f", "--fastcgi", action="store_true", dest="fastcgi", help="serve FastCGI (needs flup)")
    add("-s", "--scgi", action="store_true", dest="scgi", help="serve SCGI (needs flup)")
    add("-x", "--cgi", action="store_true", dest="cgi", help="serve CGI (needs flup)")
    add("-i", "--import", action="append", dest="imports", metavar="MODULE", help="module to import; may be repeated")
    add("-p", "--pidfile", dest="pidfile", metavar="FILE", help="write the process id to FILE")
    add("-P", "--Path", action="append", dest="path", metavar="DIR", help="search DIR for modules; may be repeated")
    # Words that are no options are the application's: it finds them in sys.argv.
    add("arguments", nargs="*", metavar="WORD", help="left to the application")
    return command


def run(arguments: list[str] | None = None) -> None:
    """Read the command line (of this process, without *arguments*) and obey it."""
    options = parser().parse_intermixed_args(arguments)
    for folder in options.path or ():
        sys.path.insert(0, folder)
    start(
        options.config,
        options.daemonize,
        options.environment,
        options.fastcgi,
        options.scgi,
        options.pidfile,
        options.imports,
        options.cgi,
    )


main = run
