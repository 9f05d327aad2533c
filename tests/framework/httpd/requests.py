"""Hypothesis strategies for requests: good ones by the grammar of the RFCs, and near misses made from them."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

TOKEN = "!#$%&'*+-.^`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PCHAR = "abcXYZ019-._~!$&'()*+,;=:@"
#: Names that decide something; fields with them are made on purpose only.
SPECIAL = {
    *("host", "content-length", "transfer-encoding", "connection", "proxy-connection", "upgrade", "expect"),
    *("te", "trailer", "keep-alive", "http2-settings"),
}

blanks = st.text(" \t", max_size=2)
tokens = st.text(TOKEN, min_size=1, max_size=8)
#: httptools knows no others
methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "LOCK", "TRACE"])
hosts = st.sampled_from(["a", "a.example", "A.example:8080", "192.0.2.1", "[::1]:80", "a-b.example:"])
path_texts = st.lists(
    st.one_of(st.text(PCHAR + "/", max_size=8), st.sampled_from(["%20", "%2F", "%00", "..", "//"])), max_size=4
).map(lambda parts: "/" + "".join(parts))
queries = st.one_of(st.just(""), st.text(PCHAR + "/?&=%", max_size=10).map("?".__add__))
origins = st.builds(str.__add__, path_texts, queries)
targets = st.one_of(origins, st.builds("http://{}{}".format, st.sampled_from(["a", "b.example:81"]), origins))
names = tokens.filter(lambda name: name.lower() not in SPECIAL)
values = st.text([chr(code) for code in (*range(0x20, 0x7F), *range(0x80, 0x100), 9)], max_size=12).map(
    lambda text: text.strip(" \t")
)
bodies = st.one_of(st.binary(max_size=20), st.sampled_from([b"", b"0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"]))
connections = st.lists(
    st.sampled_from(["close", "Close", "keep-alive", "KEEP-ALIVE", "x"]), min_size=1, max_size=3
).map(", ".join)
quoted = st.text(PCHAR + " \t;", max_size=4).map('"{}"'.format)
extensions = st.lists(
    st.builds("{}{}".format, tokens, st.one_of(st.just(""), st.one_of(tokens, quoted).map("={}".format))), max_size=2
).map(lambda made: "".join(f";{one}" for one in made))


@dataclass(frozen=True)
class Sent:
    """A good request and what it says."""

    data: bytes
    body: bytes
    is_http_11: bool


def field_line(name: str, value: str, before: str, after: str) -> bytes:
    """One field line with its line end."""
    return f"{name}:{before}{value}{after}\r\n".encode("latin-1")


@st.composite
def field_lines(draw: st.DrawFn) -> list[bytes]:
    """A few fields that mean nothing to a server."""
    made = draw(st.lists(st.tuples(names, values, blanks, blanks), max_size=4))
    return [field_line(*parts) for parts in made]


@st.composite
def chunked(draw: st.DrawFn, body: bytes) -> bytes:
    """*body* in chunks of any size, with extensions and trailers."""
    out = b""
    while body:
        size = draw(st.integers(1, len(body)))
        digits = draw(st.sampled_from(["{:x}", "{:X}", "{:04x}"])).format(size)
        out += f"{digits}{draw(extensions)}\r\n".encode() + body[:size] + b"\r\n"
        body = body[size:]
    trailers = b"".join(draw(field_lines())) if draw(st.booleans()) else b""
    return out + f"0{draw(extensions)}\r\n".encode() + trailers + b"\r\n"


@st.composite
def good_requests(draw: st.DrawFn) -> Sent:
    """A request that no RFC lets a server refuse for its syntax."""
    is_http_11 = draw(st.sampled_from([True, True, True, False]))
    lines = draw(field_lines())
    if is_http_11 or draw(st.booleans()):
        lines.append(field_line("Host", draw(hosts), " ", draw(blanks)))
    if draw(st.booleans()):
        lines.append(field_line("Connection", draw(connections), draw(blanks), draw(blanks)))
    framing = draw(st.sampled_from(["none", "length", "chunked"] if is_http_11 else ["none", "length"]))
    body = b"" if framing == "none" else draw(bodies)
    sent = body
    if framing == "length":
        lines.append(field_line(draw(st.sampled_from(["Content-Length", "content-length"])), str(len(body)), " ", ""))
    elif framing == "chunked":
        coding = draw(st.sampled_from(["chunked", "Chunked", "CHUNKED"]))
        lines.append(field_line("Transfer-Encoding", coding, draw(blanks), ""))
        sent = draw(chunked(body))
    lines = draw(st.permutations(lines))
    first = f"{draw(methods)} {draw(targets)} HTTP/1.{int(is_http_11)}\r\n".encode("latin-1")
    return Sent(first + b"".join(lines) + b"\r\n" + sent, body, is_http_11)


NOISE = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"\t",
    b"\x0b",
    b"\x7f",
    b"\x80",
    b":",
    b",",
    b";",
    b"=",
    b'"',
    b"0",
    b"+",
    b"_",
]
EXTRA_LINES = [
    *(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length:\r\n", b"Content-Length: 5, 5\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: identity\r\n"),
    *(b"Host: b\r\n", b" folded\r\n", b"X : y\r\n", b": y\r\n", b"Content_Length: 7\r\n", b"X\r\n", b"X: a\x01b\r\n"),
]


@st.composite
def near_misses(draw: st.DrawFn) -> bytes:
    """A good request with one or two things changed: an octet in, over or out, or a line more."""
    data = draw(good_requests()).data
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.integers(0, len(data)))
        change = draw(st.sampled_from(["insert", "replace", "remove", "line", "version"]))
        if change == "insert":
            data = data[:place] + draw(st.sampled_from(NOISE)) + data[place:]
        elif change == "replace":
            data = data[:place] + draw(st.sampled_from(NOISE)) + data[place + 1 :]
        elif change == "remove":
            data = data[:place] + data[place + 1 :]
        elif change == "version":
            data = data.replace(
                b"HTTP/1.1", draw(st.sampled_from([b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/11"])), 1
            )
        else:
            end = data.find(b"\r\n") + 2
            data = data[:end] + draw(st.sampled_from(EXTRA_LINES)) + data[end:]
    return data
