"""A form that is sent by GET, and may be sent by POST."""

import random

import cherrypy

FORM = """<html><body><form method="get" action="throw">
<input type="text" name="count" value="2"/><button type="submit">Throw</button>
</form></body></html>"""


class Dice(object):  # noqa: UP004
    @cherrypy.expose
    def index(self):
        return FORM

    @cherrypy.expose
    def throw(self, count=2):
        return "".join(str(random.randint(1, 6)) for _ in range(int(count)))


if __name__ == "__main__":
    cherrypy.quickstart(Dice())
