# /// script
# dependencies = []
# [tool.bench]
# place = 15
# title = "nginx without application"
# environment = "own"
# programs = ["nginx"]
# without = { "blocking 20 ms" = "nginx runs no handler", "POST 1 MiB" = "nginx runs no handler" }
# ///
"""What no server here will beat: nginx with fixed answers, one worker."""

import os
import shutil
import sys
import tempfile

CONFIG = """
{user}daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; default_type text/plain; sendfile on;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=1024{tls};
    location = / {{ return 200 "Hello, world!"; }}
    location /item/ {{ return 200 "item 7 is $arg_colour"; }}
    location = /data {{
      default_type application/json;
      return 200 '{{"name": "bench", "values": [1, 2, 3], "nested": {{"ok": true}}}}';
    }}
    location /file/ {{ alias {files}/; }}
  }}
}}
"""

tls = ""
if os.environ["BENCH_CERTIFICATE"]:
    tls = f" ssl; ssl_certificate {os.environ['BENCH_CERTIFICATE']}; ssl_certificate_key {os.environ['BENCH_KEY']}"
folder = tempfile.mkdtemp(dir=os.environ["BENCH_SCRATCH"])
config = f"{folder}/nginx.conf"
with open(config, "w") as file:
    user = "user root; " if os.geteuid() == 0 else ""
    file.write(CONFIG.format(user=user, folder=folder, port=sys.argv[1], tls=tls, files=os.environ["BENCH_FILES"]))
nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
os.execv(nginx, [nginx, "-e", f"{folder}/error.log", "-c", config])
