"""The shortest application."""

import cherrypy


class Hello(object):  # noqa: UP004 - as old programs are written
    @cherrypy.expose
    def index(self):
        return "Hello, you!"


if __name__ == "__main__":
    cherrypy.quickstart(Hello())
