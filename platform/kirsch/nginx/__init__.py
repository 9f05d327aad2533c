"""The spec as nginx text (pure), and the host's nginx (live)."""

from kirsch.nginx.binary import Nginx, find_nginx, open_file_limit, worker_user
from kirsch.nginx.control import Generation, NginxControl
from kirsch.nginx.isolation import Held
from kirsch.nginx.site import render_site
from kirsch.nginx.survey import survey
from kirsch.nginx.version import Build, Version, version_text

__all__ = [
    "render_site",
    "survey",
    "find_nginx",
    "Nginx",
    "NginxControl",
    "Generation",
    "Held",
    "Build",
    "Version",
    "version_text",
    "open_file_limit",
    "worker_user",
]
