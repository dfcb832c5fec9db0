"""What is read and written without h11 is what h11 would have read and written."""

from __future__ import annotations

import h11
from hypothesis import given
from hypothesis import strategies as st

from kuartui.embedded.network import plain_http

NAMES = [
    "Host",
    "host",
    "Content-Length",
    "Connection",
    "Transfer-Encoding",
    "Expect",
    "Upgrade",
    "X-A",
    "x b",
    "Ä",
    "",
]
VALUES = [
    "web",
    "0",
    "3",
    "03",
    "x",
    "close",
    "Keep-Alive",
    "keep-alive",
    "keep-alive, close",
    "chunked",
    "100-continue",
    " a",
    "a\tb",
]
HEADERS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from([*VALUES, "", "é", "a\x01b"])), max_size=4).map(
    lambda found: [("Host", "web"), *found]
) | st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=3)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "CONNECT", "FOO", "A B", ""])
TARGETS = st.sampled_from(["/", "/a%20b?x=1", "*", "http://web/", "/a b", "/é", ""])
BODIES = st.sampled_from([b"", b"abc", b"abcdef"])
STATUS = st.sampled_from([100, 101, 200, 204, 304, 404, 500, 999])
REASONS = st.sampled_from(["OK", "", "Not Found", "é", "a\r\nb"])


def field_lines(headers: list[tuple[str, str]]) -> bytes:
    return b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in headers) + b"\r\n"


def pairs(headers: h11.Headers) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode(), value.decode()) for name, value in headers.raw_items())


@given(METHODS, TARGETS, HEADERS, BODIES, st.sampled_from(["1.1", "1.0"]), st.sampled_from(["", "\r\n", "x"]))
def test_a_request_is_read_as_h11_does(
    method: str, target: str, headers: list[tuple[str, str]], body: bytes, version: str, lead: str
) -> None:
    data = f"{lead}{method} {target} HTTP/{version}\r\n".encode("latin-1") + field_lines(headers) + body
    plain = plain_http.read_request(data)
    if plain is None:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    assert (plain.first, plain.second) == (request.method.decode(), request.target.decode())
    assert plain.headers == pairs(request.headers)
    found = b""
    while isinstance(event := connection.next_event(), h11.Data):
        found += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert plain.body == found
    connection.send(h11.Response(status_code=204, headers=[]))
    connection.send(h11.EndOfMessage())
    assert plain.keep == (connection.our_state is h11.DONE)
    assert plain.rest == connection.trailing_data[0] or not plain.keep


@given(STATUS, REASONS, HEADERS, BODIES, st.sampled_from(["GET", "HEAD"]))
def test_a_response_is_read_as_h11_does(
    status: int, reason: str, headers: list[tuple[str, str]], body: bytes, method: str
) -> None:
    data = f"HTTP/1.1 {status} {reason}\r\n".encode("latin-1") + field_lines(headers) + body
    plain = plain_http.read_response(data, method)
    if plain is None:
        return
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "web")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    response = connection.next_event()
    assert isinstance(response, h11.Response)
    assert (int(plain.first), plain.second) == (response.status_code, bytes(response.reason).decode())
    assert plain.headers == pairs(response.headers)
    found = b""
    while isinstance(event := connection.next_event(), h11.Data):
        found += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert plain.body == found
    assert plain.keep == (connection.their_state is h11.DONE)


@given(METHODS, TARGETS, HEADERS, BODIES)
def test_a_request_is_written_as_h11_does(
    method: str, target: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    written = plain_http.write_request(method, target, headers, body)
    if written is None:
        return
    connection = h11.Connection(h11.CLIENT)
    expected = connection.send(h11.Request(method=method, target=target, headers=headers)) or b""
    expected += connection.send(h11.Data(data=body)) or b""
    expected += connection.send(h11.EndOfMessage()) or b""
    assert written == expected


@given(STATUS, REASONS, HEADERS, BODIES, st.sampled_from(["GET", "HEAD"]), st.booleans())
def test_a_response_is_written_as_h11_does(
    status: int, reason: str, headers: list[tuple[str, str]], body: bytes, method: str, keep: bool
) -> None:
    # h11 puts them last; here they stay where the server has them
    headers = sorted(headers, key=lambda header: header in (plain_http.CLOSE, plain_http.KEEP_ALIVE))
    written = plain_http.write_response(status, reason, headers, body, method, keep=keep)
    if written is None:
        return
    connection = h11.Connection(h11.SERVER)
    asked = "" if keep else "Connection: close\r\n"
    connection.receive_data(f"{method} / HTTP/1.1\r\nHost: web\r\n{asked}\r\n".encode())
    connection.next_event()
    connection.next_event()
    expected = connection.send(h11.Response(status_code=status, reason=reason.encode(), headers=headers)) or b""
    if method != "HEAD" and status not in (204, 304):
        expected += connection.send(h11.Data(data=body)) or b""
    expected += connection.send(h11.EndOfMessage()) or b""
    assert written == expected


def test_what_is_usual_is_plain() -> None:
    sent = plain_http.write_request("POST", "/a?b=c", [("Content-Length", "3"), ("Host", "web")], b"abc")
    assert sent == b"POST /a?b=c HTTP/1.1\r\nHost: web\r\nContent-Length: 3\r\n\r\nabc"
    got = plain_http.read_request(sent + b"GET")
    assert got is not None
    assert (got.first, got.second, got.body, got.keep, got.rest) == ("POST", "/a?b=c", b"abc", True, b"GET")
    answer = plain_http.write_response(200, "OK", [("Content-Length", "2")], b"hi", "GET", keep=False)
    assert answer == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
    read = plain_http.read_response(answer, "GET")
    assert read is not None
    assert (read.first, read.body, read.keep) == ("200", b"hi", False)
    for keep, said in ((True, b"keep-alive"), (False, b"close")):
        told = plain_http.write_response(
            200, "OK", [plain_http.KEEP_ALIVE, ("Content-Length", "0")], b"", "GET", keep=keep
        )
        assert told == b"HTTP/1.1 200 OK\r\nConnection: " + said + b"\r\nContent-Length: 0\r\n\r\n"
