"""What nginx decides without asking anybody: refused, closed, not found, too large."""

from __future__ import annotations

import difflib
import re

from kirsch.observe.why.evidence import Cause, Evidence

HEAD_LIMIT_BYTES = 16384
"""One line of a head has to fit into one of nginx's buffers (``large_client_header_buffers 4 16k``)."""
LOOP_COUNT, LOOP_S = 5, 15.0


def _by_nginx(evidence: Evidence, *codes: int) -> bool:
    return evidence.code in codes and not evidence.was_passed_on


def tls_on_plain(evidence: Evidence) -> str | None:
    """A TLS hello where plain HTTP is spoken."""
    line = evidence.line
    if line is None or evidence.code != 400 or not line.line.startswith("\x16\x03"):
        return None
    return f"the client spoke TLS to port {line.port}, which is for plain HTTP"


def plain_on_tls(evidence: Evidence) -> str | None:
    """Plain HTTP where TLS is spoken."""
    line = evidence.line
    if line is None or not _by_nginx(evidence, 400, 497) or not line.method or line.tls or evidence.stack is None:
        return None
    ports = {str(listen.port) for vhost in evidence.stack.vhosts.values() for listen in vhost.listen if listen.tls}
    return f"the client spoke plain HTTP to port {line.port}, which is for TLS" if line.port in ports else None


def tls_refused(evidence: Evidence) -> str | None:
    """A handshake that failed; there is no request then, only nginx's word."""
    said = evidence.says("SSL_do_handshake() failed", "SSL handshake")
    return f"the TLS handshake failed: {said}" if said else None


def head_too_large(evidence: Evidence) -> str | None:
    """A line of the head, or all of it, does not fit."""
    line = evidence.line
    if line is None or not _by_nginx(evidence, 400, 414, 431, 494):
        return None
    if evidence.code == 414:
        return f"the address has more than the {HEAD_LIMIT_BYTES} octets that nginx takes"
    is_long = line.request_bytes.isdigit() and int(line.request_bytes) >= HEAD_LIMIT_BYTES
    if evidence.code in (431, 494) or is_long or evidence.says("too long header", "too large request"):
        return f"a header field, a cookie most likely, has more than the {HEAD_LIMIT_BYTES} octets that nginx takes"
    return None


def bad_request(evidence: Evidence) -> str | None:
    """No request, or none that may be passed on."""
    line = evidence.line
    if line is None or not _by_nginx(evidence, 400):
        return None
    if line.method:
        return f"nginx refused the head of {line.method} {line.path}: a field beyond 16 KiB, or a wrong Host"
    return f"what the client sent is no request of HTTP: {line.line[:80]!r}"


def wrong_host(evidence: Evidence) -> str | None:
    """A name that no vhost has."""
    line = evidence.line
    if line is None or evidence.code != 444:
        return None
    names = [name for vhost in evidence.stack.vhosts.values() for name in vhost.all_names] if evidence.stack else []
    near = difflib.get_close_matches(line.host, names, n=1, cutoff=0.4)
    hint = f"; the nearest is {near[0]}" if near else ""
    return f"no vhost on port {line.port} has the name {line.host!r}{hint}, so nginx closed the connection"


def maintenance(evidence: Evidence) -> str | None:
    """The operator closed the vhost."""
    vhost = evidence.vhost
    if not _by_nginx(evidence, 503) or vhost is None or not vhost.maintenance:
        return None
    return f"the vhost {vhost.name} is under maintenance"


def too_many(evidence: Evidence) -> str | None:
    """A rate or a number of connections is exceeded."""
    line, vhost = evidence.line, evidence.vhost
    if line is None or not _by_nginx(evidence, 429):
        return None
    limits = []
    if vhost is not None and vhost.rate is not None:
        limits.append(f"rate {vhost.rate.limit}, burst {vhost.rate.burst}")
    if vhost is not None and vhost.connections is not None:
        limits.append(f"{vhost.connections} connections")
    what = " and ".join(limits) or "the limits of its route"
    return f"client {line.client} came more often than the stack lets it ({what})"


def denied(evidence: Evidence) -> str | None:
    """An address that may not come in."""
    said = evidence.says("access forbidden by rule")
    if evidence.line is None or not _by_nginx(evidence, 403) or not said:
        return None
    return f"the address {evidence.line.client} may not come in, by deny or allow of the vhost or the route"


def password(evidence: Evidence) -> str | None:
    """A vhost's or a route's own password."""
    if not _by_nginx(evidence, 401):
        return None
    said = evidence.says("password mismatch", "was not found in", "no user/password")
    return f"nginx asks for a password here, and {'it was wrong' if said else 'none was sent'}"


def file_forbidden(evidence: Evidence) -> str | None:
    """A file that nginx may not read."""
    said = evidence.says("(13: Permission denied)")
    if not said or evidence.code not in (403, 500):
        return None
    return f"nginx may not read the file or a folder on its way: {_file(said)}"


def folder_forbidden(evidence: Evidence) -> str | None:
    """A folder of static files, without an index."""
    said = evidence.says("directory index of")
    return f"the address is a folder of static files, which nginx does not list: {_file(said)}" if said else None


def disk(evidence: Evidence) -> str | None:
    """Nginx could not keep a body, or a large answer, on the disk."""
    said = evidence.says("No space left on device", "(28:", "Disk quota exceeded", "File too large")
    return f"nginx could not write to its temporary folder: {said}" if said else None


def temp_forbidden(evidence: Evidence) -> str | None:
    """Nginx could not open a temporary file."""
    said = evidence.says("/temp/client_body/", "/temp/proxy/")
    return f"nginx could not spool a body: {said}" if said and evidence.code >= 500 else None


def body_too_large(evidence: Evidence) -> str | None:
    """More octets than the vhost or route takes."""
    if not _by_nginx(evidence, 413):
        return None
    said = re.search(r"body: (\d+) bytes", evidence.says("client intended to send too large body"))
    sent = f"the body of {said[1]} octets" if said else "the body"
    vhost = evidence.vhost
    limit = f" (the vhost {vhost.name} takes {int(vhost.max_body)})" if vhost is not None else ""
    return f"{sent} is larger than nginx takes here{limit}"


def client_slow(evidence: Evidence) -> str | None:
    """A client that did not send what it had announced."""
    if not _by_nginx(evidence, 408):
        return None
    return "the client sent nothing for 15 s within the head, or 30 s within the body"


def client_gone(evidence: Evidence) -> str | None:
    """The client closed first."""
    line = evidence.line
    if line is None or evidence.code != 499:
        return None
    where = f", while {evidence.handler} worked on it" if evidence.handler else ""
    return f"the client went away after {line.took_s:.1f} s, before there was an answer{where}"


def unmatched(evidence: Evidence) -> str | None:
    """No app, no file there."""
    line = evidence.line
    if line is None or not _by_nginx(evidence, 404):
        return None
    said = evidence.says("(2: No such file or directory)", "(20: Not a directory)")
    if said:
        return f"there is no such static file: {_file(said)}"
    return f"no app of the vhost is mounted at {line.path}{_nearest(evidence)}"


def not_found(evidence: Evidence) -> str | None:
    """The application has no page there."""
    line = evidence.line
    if line is None or evidence.code != 404 or not evidence.was_passed_on:
        return None
    return f"the application has no page at {line.path}{_nearest(evidence)}"


def redirect_loop(evidence: Evidence) -> str | None:
    """The same client is sent to the same place again and again."""
    line = evidence.line
    if line is None or not 300 <= evidence.code < 400 or evidence.code == 304:
        return None
    same = [one for one in evidence.neighbours if (one.client, one.uri) == (line.client, line.uri)]
    again = [one for one in same if one.code == evidence.code and 0 <= line.at - one.at <= LOOP_S]
    if len(again) < LOOP_COUNT - 1:
        return None
    times = f"{len(again) + 1} times in {LOOP_S:g} s"
    return f"{line.path} sent the client {line.client} away {times}, and it came back each time"


def _nearest(evidence: Evidence) -> str:
    """Name the nearest path that answered lately."""
    line = evidence.line
    if line is None:
        return ""
    good = {one.path for one in evidence.neighbours if one.vhost == line.vhost and 200 <= one.code < 300}
    near = difflib.get_close_matches(line.path, sorted(good), n=1, cutoff=0.6)
    return f"; the nearest that answered lately is {near[0]}" if near else ""


def _file(said: str) -> str:
    found = re.search(r'"(/[^"]*)"', said)
    return found[1] if found else said


CAUSES = (
    Cause("tls_on_plain", tls_on_plain, "Use http:// for this port, or write `tls` behind the address in listen."),
    Cause(
        "plain_on_tls", plain_on_tls, "Use https:// for this port, or set redirect_https with a plain port beside it."
    ),
    Cause("tls_handshake", tls_refused, "Compare the client's versions and the name it asks for with `kirsch check`."),
    Cause("head_too_large", head_too_large, "Make cookies smaller, or send the data in a body."),
    Cause("bad_request", bad_request, "Mend the client; scanners do this all day, and nobody else was harmed."),
    Cause("wrong_host", wrong_host, "Write the name into the vhost's names, or let DNS point elsewhere."),
    Cause("maintenance", maintenance, "Remove `maintenance` from the vhost, or add the address to its bypass."),
    Cause("rate_limited", too_many, "Raise `rate`, its burst or `connections` if this client is welcome."),
    Cause("denied_by_address", denied, "Add the network to `allow`, or take it out of `deny`."),
    Cause("password", password, "Send the right user and password, or change `auth`."),
    Cause(
        "disk_full", disk, "Free some space on the disk of the run directory, or send less: kirsch logs nginx-error."
    ),
    Cause(
        "file_forbidden", file_forbidden, "Let nginx's user read the file and pass through its folders (chmod o+rX)."
    ),
    Cause("folder_forbidden", folder_forbidden, "Ask for a file, or have the application answer for the folder."),
    Cause("spool_forbidden", temp_forbidden, "Give nginx's user the folders below RUN/nginx/temp back."),
    Cause("body_too_large", body_too_large, "Raise max_body of the vhost or the route if such uploads are meant."),
    Cause("client_slow", client_slow, "Nothing to mend here; look at the client's network."),
    Cause(
        "client_gone",
        client_gone,
        "If it was slow, look at the handler: kirsch top; else the visitor changed their mind.",
    ),
    Cause("redirect_loop", redirect_loop, "Look at redirects of scheme, host or trailing slash: kirsch check --probe."),
    Cause("no_such_path", unmatched, "Mount an app there, or correct the link."),
    Cause("no_such_page", not_found, "Expose a page there, or correct the link: kirsch explain URL shows the way."),
)
