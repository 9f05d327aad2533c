"""The run directory: who may enter it, and who may connect to what is in it.

As root nginx's workers are another user, who has to reach sockets and nothing else: folders are traversable (0711),
sockets belong to nginx's group (0660). As anybody else everything is ours alone (0700, 0600).
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
from pathlib import Path

from kirsch.errors import SuperviseError
from kirsch.spec.paths import HostPaths


class RunDir:
    """Makes and guards the run directory of one stack.

    Args:
        paths: of the host.
        nginx_user: ``user:group`` of nginx's workers, None when they are who we are.
    """

    def __init__(self, paths: HostPaths, nginx_user: str | None) -> None:
        self.paths = paths
        self.nginx_user = nginx_user
        name, _, group = (nginx_user or "").partition(":")
        self._group = -1
        if nginx_user is not None:
            self._group = grp.getgrnam(group).gr_gid if group else pwd.getpwnam(name).pw_gid

    def prepare(self, *, has_pool_users: bool = False) -> None:
        """Make the folders with their modes.

        Raises:
            SuperviseError: the run directory is somebody else's, or a link: in a shared /tmp anybody may have made it.
        """
        folder_mode = 0o700 if self.nginx_user is None else 0o711
        above = os.path.dirname(self.paths.run)
        os.makedirs(above, mode=0o755 if self.nginx_user is not None else 0o700, exist_ok=True)
        self._refuse_foreign(above)
        os.makedirs(self.paths.run, mode=folder_mode, exist_ok=True)
        self._refuse_foreign(self.paths.run)
        os.chmod(self.paths.run, folder_mode)
        for folder in (self.paths.slots, self.paths.workers):
            os.makedirs(folder, exist_ok=True)
            os.chmod(folder, folder_mode)
        if has_pool_users:
            # Workers of other users bind their sockets here; sticky, so that they cannot touch each other's.
            os.chmod(self.paths.workers, 0o1733)
        os.makedirs(self.paths.log_dir, exist_ok=True)

    def admit_nginx(self, socket: str) -> None:
        """Let nginx, and besides it only the socket's owner, connect to *socket*."""
        if self._group < 0:
            os.chmod(socket, 0o600)
            return
        os.chown(socket, -1, self._group)
        os.chmod(socket, 0o660)

    def remove(self) -> None:
        """Take away what a supervisor makes here, and the folder itself if nothing else is in it."""
        for folder in (self.paths.slots, self.paths.workers):
            if not os.path.isdir(folder):
                continue
            for entry in os.scandir(folder):
                Path(entry.path).unlink(missing_ok=True)
            os.rmdir(folder)
        shutil.rmtree(f"{self.paths.run}/metrics", ignore_errors=True)
        for board in Path(self.paths.run).glob("*.board"):
            board.unlink(missing_ok=True)

    @staticmethod
    def _refuse_foreign(folder: str) -> None:
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.getuid(), 0}:
            raise SuperviseError(f"{folder} is not ours: it belongs to user {found.st_uid}")
        if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
            raise SuperviseError(f"{folder} can be written by others (mode {stat.S_IMODE(found.st_mode):o})")
