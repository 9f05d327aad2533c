"""``nginx -t`` of a configuration in a folder of its own: the live pid file, logs and sockets are never touched.

A test opens what the configuration names: it makes the pid file when there is none, log files, temporary folders and
sockets, and leaves them to whoever asked for the test. So what is tested is a copy that names places beside it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType

from kirsch.nginx.binary import Nginx
from kirsch.nginx.caching import cache_folder
from kirsch.nginx.master import environment, troubles
from kirsch.nginx.site import MAIN_FILE, MARKER_FILE
from kirsch.spec import HostPaths

TEST_TIMEOUT_S = 60
# an authority's responder that has no address at the moment: nothing is stapled, everything else goes on
_UNSTAPLED = '"ssl_stapling" ignored'
_INCLUDED = re.compile(r"^ *include vhosts/([^./]+)\.conf;\n", re.MULTILINE)


class Trial:
    """The files of one generation, to be tested as often as it takes: all of it, or some of its vhosts."""

    def __init__(self, paths: HostPaths, nginx: Nginx, files: Mapping[str, str]) -> None:
        self._paths = paths
        self._nginx = nginx
        self._files = files
        self._folder = ""

    def __enter__(self) -> Trial:
        # short, for the marker's socket is in it; away from RUN, which may not be there yet
        self._folder = tempfile.mkdtemp(prefix="kirsch-t")
        for name, text in self._files.items():
            path = Path(self._folder, "site", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._moved(text) if name in (MAIN_FILE, MARKER_FILE) else text, encoding="utf-8")
        os.mkdir(f"{self._folder}/temp")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def vhosts(self) -> list[str]:
        """The names of the vhosts, in the order in which nginx reads them."""
        return _INCLUDED.findall(self._files[MAIN_FILE])

    def test(self, vhosts: Collection[str] | None = None) -> list[str]:
        """What nginx has against it, with *vhosts* only when they are given; empty when it is good.

        Warnings count: "conflicting server name" is only one, and leaves a vhost that nobody reaches. Files are named
        as they are in the generation: ``[emerg] unknown directive "x" in vhosts/main.conf:7``.
        """
        main = Path(self._folder, "site", MAIN_FILE)
        text = self._moved(self._files[MAIN_FILE])
        if vhosts is not None:
            text = _INCLUDED.sub(lambda found: found[0] if found[1] in vhosts else "", text)
        main.write_text(text, encoding="utf-8")
        command = [self._nginx.path, "-c", str(main), "-p", f"{self._folder}/", "-e", "stderr", "-t"]
        try:
            ran = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TEST_TIMEOUT_S,
                check=False,
                stdin=subprocess.DEVNULL,
                env=environment(),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return [f"{self._nginx.path} -t: {error}"]
        found = troubles(ran.stderr.splitlines())
        lines = [line.replace(f"{self._folder}/site/", "") for line in found if _UNSTAPLED not in line]
        return lines or ([f"nginx -t ended with status {ran.returncode}"] if ran.returncode else [])

    def _moved(self, text: str) -> str:
        paths, folder = self._paths, self._folder
        for live, here in (
            (paths.nginx_pid, "pid"),
            (paths.nginx_error_log, "error.log"),
            (paths.nginx_access_log, "access.log"),
            (paths.nginx_marker, "marker"),
            (f"{paths.nginx}/temp", "temp"),
            (cache_folder(paths), "cache"),
        ):
            written = live.replace("\\", "\\\\").replace('"', '\\"')
            text = text.replace(written, f"{folder}/{here}")
        return text


def try_files(paths: HostPaths, nginx: Nginx, files: Mapping[str, str]) -> list[str]:
    """What ``nginx -t`` has against *files*; empty when they are good."""
    with Trial(paths, nginx, files) as trial:
        return trial.test()
