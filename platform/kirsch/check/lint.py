"""nginx and applications side by side: what each file says well alone, and both together do not.

Each rule is a function from a :class:`Case` to findings; ``RULES`` is the order in which they are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kirsch.check.build import check_build
from kirsch.check.case import Case
from kirsch.check.finding import SEVERITIES, Finding
from kirsch.check.hops import check_frameworks, check_networks, check_proxy_tool
from kirsch.check.limits import check_backlog, check_bodies, check_keepalive, check_timeouts
from kirsch.check.state import check_files, check_process_settings, check_secrets, check_sessions, check_streams

RULES: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    check_bodies,
    check_timeouts,
    check_keepalive,
    check_backlog,
    check_proxy_tool,
    check_frameworks,
    check_networks,
    check_sessions,
    check_process_settings,
    check_streams,
    check_files,
    check_secrets,
    check_build,
)


def lint(case: Case) -> list[Finding]:
    """Return what was found, the most serious first."""
    found = [finding for rule in RULES for finding in rule(case)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))
