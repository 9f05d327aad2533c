"""Files: one comes in with a form, another goes out."""

import html
import os.path

import cherrypy

CONFIG = os.path.join(os.path.dirname(__file__), "tutorial.conf")


class Counter:
    """Tells how long an uploaded file is; sends this program's own source."""

    @cherrypy.expose
    def index(self):
        return """<form action="upload" method="post" enctype="multipart/form-data">
            <input type="file" name="document"> <input type="submit">
        </form> <a href="download">This program</a>"""

    @cherrypy.expose
    def upload(self, document):
        # A large upload waits in a temporary file: read it in pieces.
        length = 0
        while piece := document.file.read(65536):
            length += len(piece)
        name = html.escape(str(document.filename))
        return f"{name} has {length} bytes and claims to be {html.escape(str(document.content_type))}."

    @cherrypy.expose
    def download(self):
        return cherrypy.lib.static.serve_file(os.path.abspath(__file__), "application/x-download", "attachment")


if __name__ == "__main__":
    cherrypy.quickstart(Counter(), config=CONFIG)
