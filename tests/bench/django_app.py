"""The benchmark's pages in Django, for the peers' column."""

import os
import time

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpResponse, JsonResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, MIDDLEWARE=[], DATA_UPLOAD_MAX_MEMORY_SIZE=None)


def index(request):
    """The smallest page."""
    return HttpResponse("Hello, world!")


def item(request, number):
    """A page with a path segment and a query parameter."""
    return HttpResponse(f"item {number} is {request.GET.get('colour', 'red')}")


def data(request):
    """A small JSON document."""
    return JsonResponse({"name": "bench", "values": [1, 2, 3], "nested": {"ok": True}})


def slow(request):
    """A handler that blocks as a database call would."""
    time.sleep(0.02)
    return HttpResponse("slow")


def upload(request):
    """A body that is read whole."""
    return HttpResponse(str(len(request.body)))


def file(request, name):
    """A file of the folder that the bench names."""
    return FileResponse(open(os.path.join(os.environ["BENCH_FILES"], name), "rb"))


urlpatterns = [
    path("", index),
    path("item/<number>", item),
    path("data", data),
    path("slow", slow),
    path("upload", upload),
    path("file/<name>", file),
]
application = get_wsgi_application()
