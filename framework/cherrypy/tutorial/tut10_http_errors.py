"""Errors: pages of one's own for what goes wrong, and errors that a handler raises."""

import os.path

import cherrypy

CONFIG = os.path.join(os.path.dirname(__file__), "tutorial.conf")


def teapot(status, message, traceback, version):
    # Called with strings; returns the whole page.
    return f"<h1>{status}</h1><p>{message}</p>"


class Troubles:
    """Links to several kinds of trouble."""

    _cp_config = {"error_page.418": teapot}

    @cherrypy.expose
    def index(self):
        return """<a href="nowhere">a page that is not there</a>
            <a href="broken">a broken page</a>
            <a href="raised/403">a forbidden page</a>
            <a href="raised/418">a page of its own</a>
            <a href="tracebacks">tracebacks on or off</a>"""

    @cherrypy.expose
    def tracebacks(self):
        # Configuration may change while the site runs.
        section = cherrypy.request.app.config.setdefault("/", {})
        section["request.show_tracebacks"] = not section.get("request.show_tracebacks", True)
        raise cherrypy.HTTPRedirect("/")

    @cherrypy.expose
    def broken(self):
        return "1" + 1

    @cherrypy.expose
    def raised(self, code):
        raise cherrypy.HTTPError(int(code), "This page raised it.")


if __name__ == "__main__":
    cherrypy.quickstart(Troubles(), config=CONFIG)
