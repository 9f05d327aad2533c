"""Forms: query strings and posted fields both arrive as arguments of the handler."""

import html
import os.path

import cherrypy

CONFIG = os.path.join(os.path.dirname(__file__), "tutorial.conf")


class Greeter:
    """A form, and the page it leads to."""

    @cherrypy.expose
    def index(self):
        return """<form action="greet" method="post">
            Who are you? <input type="text" name="name"> <input type="submit">
        </form>"""

    @cherrypy.expose
    def greet(self, name=None):
        if name:
            # Never put what somebody typed into a page as it is.
            return f"Good to see you, {html.escape(name)}!"
        if name is None:
            return 'Please go through <a href="./">the form</a>.'
        return 'Everybody has a name; <a href="./">try again</a>.'


if __name__ == "__main__":
    cherrypy.quickstart(Greeter(), config=CONFIG)
