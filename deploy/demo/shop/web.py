"""The shop's pages. `python -m shop.web` runs it alone on port 8081, without the platform."""

import hashlib
import os
from html import escape
from pathlib import Path
from string import Template

import cherrypy
from cherrypy.lib import sessions

from . import store
from .api import Api

HERE = Path(__file__).resolve().parent
WORKER = os.environ.get("KIRSCH_WORKER", "alone")
RELEASE = os.environ.get("KIRSCH_RELEASE", "none")
PAGE = Template((HERE / "page.html").read_text(encoding="utf-8"))
ROW = '<li><b>{title}</b> <span>{price:.2f} €</span> <button data-sku="{sku}">add</button></li>'


def prepare_sessions():
    """Make the directory of the sessions: files, so that whichever worker answers knows the visitor."""
    path = store.shared_directory() / "sessions"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return str(path)


class Shop:
    """The root of the shop."""

    _cp_config = {
        "tools.response_headers.on": True,
        "tools.response_headers.headers": [("X-Kirsch-Worker", WORKER), ("X-Kirsch-Release", RELEASE)],
        "tools.staticdir.root": str(HERE),
        "tools.sessions.storage_class": sessions.FileSession,
        "tools.sessions.storage_path": prepare_sessions(),
    }

    def __init__(self):
        self.api = Api()

    @cherrypy.expose
    def index(self):
        """GET /: the goods, with what is worth seeing of the platform."""
        rows = [
            ROW.format(title=escape(goods["title"]), price=goods["cents"] / 100, sku=escape(goods["sku"]))
            for goods in store.all_goods()
        ]
        return PAGE.substitute(goods="\n".join(rows), worker=escape(WORKER), release=escape(RELEASE), pid=os.getpid())

    @cherrypy.expose
    def report(self):
        """GET /report: every order as lines of CSV, sent while they are read."""
        cherrypy.response.headers["Content-Type"] = "text/csv;charset=utf-8"

        def lines():
            yield "order,placed,cents\n"
            for order in store.all_orders():
                yield "{id},{placed},{cents}\n".format(**order)
            yield f"# by {WORKER}\n"

        return lines()

    report._cp_config = {"response.stream": True}

    @cherrypy.expose
    @cherrypy.tools.json_out()
    @cherrypy.tools.allow(methods=["POST"])
    def upload(self, picture):
        """POST /upload, a form with a file `picture`: kept under its hash, in pieces, however large."""
        digest, size = hashlib.sha256(), 0
        directory = store.shared_directory() / "uploads"
        directory.mkdir(exist_ok=True)
        partial = directory / f".{os.getpid()}.{id(picture)}"
        with partial.open("wb") as file:
            while piece := picture.file.read(65536):
                file.write(piece)
                digest.update(piece)
                size += len(piece)
        partial.rename(directory / digest.hexdigest())
        return {"name": picture.filename, "bytes": size, "sha256": digest.hexdigest()}


if __name__ == "__main__":
    store.prepare()
    cherrypy.config.update({"server.socket_port": 8081})
    cherrypy.quickstart(Shop(), "/", str(HERE.parent / "shop.conf"))
