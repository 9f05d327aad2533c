"""A stack on this host as a function of what is not known before: the generation's name, and who has to stay out."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kirsch.nginx.binary import Nginx, open_file_limit
from kirsch.nginx.isolation import Make
from kirsch.nginx.site import render_site
from kirsch.nginx.survey import survey
from kirsch.spec import HostPaths, Stack


def maker(stack: Stack, paths: HostPaths, nginx: Nginx, user: str | None) -> Make:
    """Return what ``NginxControl.bring`` wants: *stack* rendered for *nginx*, on this host as it is by then."""

    def make(generation: str, leave_out: frozenset[str]) -> Mapping[str, str]:
        vhosts = {name: vhost for name, vhost in stack.vhosts.items() if name not in leave_out}
        kept = stack if not leave_out else msgspec.structs.replace(stack, vhosts=vhosts)
        return render_site(
            kept,
            paths,
            nginx.version,
            generation=generation,
            user=user,
            modules=nginx.modules,
            loads=nginx.loads,
            open_files=open_file_limit(),
            ground=survey(stack, paths),
        )

    return make
