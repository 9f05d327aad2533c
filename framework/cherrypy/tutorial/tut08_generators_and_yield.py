"""Generators: a page may be made piece by piece."""

import os.path

import cherrypy

CONFIG = os.path.join(os.path.dirname(__file__), "tutorial.conf")


class Choir:
    """The whole is put together before it is sent; the verses come one at a time."""

    singers = ("Ada", "Grace", "Radia")

    def header(self):
        return "<html><body><h2>The choir</h2>"

    def footer(self):
        return "</body></html>"

    @cherrypy.expose
    def index(self):
        yield self.header()
        for singer in self.singers:
            yield f"<p>{singer} sings.</p>"
        yield self.footer()

    @cherrypy.expose
    def live(self):
        # With response.stream every piece goes to the browser when it is ready.
        yield from (f"{number}\n" for number in range(1, 6))

    live._cp_config = {"response.stream": True, "response.headers.Content-Type": "text/plain"}


if __name__ == "__main__":
    cherrypy.quickstart(Choir(), config=CONFIG)
