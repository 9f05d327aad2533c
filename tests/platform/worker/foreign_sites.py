"""Sites of other frameworks, each as its own documents begin: they know neither CherryPy nor that they are mounted.

Each answers at ``link`` with JSON: a link to itself as the framework makes it, who asks and how, what it found around
it at its import; at ``echo`` with the body it was sent; at ``say`` it writes a line to ``wsgi.errors``.
"""

from __future__ import annotations

from pathlib import Path

AROUND = "import os\nFOUND = [os.environ.get('WHO'), os.environ.get('ONLY_FLASK'), os.path.basename(os.getcwd())]\n"

FLASK = """
from flask import Flask, jsonify, request, url_for
def make(name, strict=False):
    app = Flask(name)
    @app.get("/link")
    def link():
        return jsonify(link=url_for("link"), remote=request.remote_addr, url=request.url, found=FOUND, name=name)
    @app.post("/echo")
    def echo():
        return request.get_data()
    @app.get("/say")
    def say():
        request.environ["wsgi.errors"].write("said by flask\\n")
        return "ok"
    return app
"""

DJANGO = {
    "manage.py": """#!/usr/bin/env python
import os, sys
def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project_under_test.settings")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
if __name__ == "__main__":
    main()
""",
    "project_under_test/__init__.py": "",
    "project_under_test/settings.py": """
SECRET_KEY = "x"
ALLOWED_HOSTS = ["shop.example"]
ROOT_URLCONF = "project_under_test.urls"
WSGI_APPLICATION = "project_under_test.wsgi.application"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
""",
    "project_under_test/wsgi.py": """
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
""",
    "project_under_test/urls.py": AROUND
    + """
from django.http import HttpResponse, JsonResponse
from django.urls import path, reverse
from django.views.decorators.csrf import csrf_exempt
def link(request):
    meta = request.META
    return JsonResponse(
        {"link": reverse("link"), "remote": meta["REMOTE_ADDR"], "url": request.build_absolute_uri(), "found": FOUND})
@csrf_exempt
def echo(request):
    return HttpResponse(request.body)
def say(request):
    request.environ["wsgi.errors"].write("said by django\\n")
    return HttpResponse("ok")
urlpatterns = [path("link", link, name="link"), path("echo", echo), path("say", say)]
""",
}

FALCON = """
import falcon
class Link:
    def on_get(self, req, resp):
        resp.media = {"link": req.root_path + "/link", "remote": req.remote_addr, "url": req.uri, "found": FOUND}
class Echo:
    def on_post(self, req, resp):
        resp.data = req.bounded_stream.read()
class Say:
    def on_get(self, req, resp):
        req.env["wsgi.errors"].write("said by falcon\\n")
        resp.text = "ok"
app = falcon.App()
app.add_route("/link", Link())
app.add_route("/echo", Echo())
app.add_route("/say", Say())
"""

BOTTLE = """
from bottle import Bottle, request
app = Bottle()
@app.get("/link", name="link")
def link():
    return {"link": app.get_url("link"), "remote": request.remote_addr, "url": request.url, "found": FOUND}
@app.post("/echo")
def echo():
    return request.body.read()
@app.get("/say")
def say():
    request.environ["wsgi.errors"].write("said by bottle\\n")
    return "ok"
"""

PYRAMID = """
from pyramid.config import Configurator
from pyramid.response import Response
def link(request):
    link = request.route_path("link")
    return {"link": link, "remote": request.remote_addr, "url": request.url, "found": FOUND}
def echo(request):
    return Response(request.body)
def say(request):
    request.environ["wsgi.errors"].write("said by pyramid\\n")
    return Response("ok")
def main(global_config, **settings):
    config = Configurator(settings=settings)
    for name, view in (("link", link), ("echo", echo), ("say", say)):
        config.add_route(name, "/" + name)
        config.add_view(view, route_name=name, renderer="json")
    return config.make_wsgi_app()
"""

SHOP = """
import cherrypy
class Root:
    @cherrypy.expose
    @cherrypy.tools.json_out()
    def link(self):
        request = cherrypy.request
        return {"link": cherrypy.url("/link", base=""), "remote": request.remote.ip, "url": cherrypy.url()}
    @cherrypy.expose
    def echo(self):
        return cherrypy.request.body.read()
"""


def write_sites(folder: Path) -> None:
    """Write all of them under *folder*, each in a folder of its own name."""
    files = {f"django/{name}": text for name, text in DJANGO.items()} | {
        "flask/flask_site_under_test.py": AROUND + FLASK,
        "falcon/falcon_site_under_test.py": AROUND + FALCON,
        "bottle/bottle_site_under_test.py": AROUND + BOTTLE,
        "pyramid/pyramid_site_under_test.py": AROUND + PYRAMID,
        "shop/shop_site_under_test.py": SHOP,
        "bad/bad_site_under_test.py": "secret = 'dsn=postgres://u:p@h/d'\nimport nothing_at_all\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
