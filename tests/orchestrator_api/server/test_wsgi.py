import io
from typing import Any

import pytest
from django.http import HttpResponse, StreamingHttpResponse

from orchestrator_api.server.wsgi import BodyWanted, FileWrapper, NoBodyYet, call, environ_of
from web.turns import InTurns, Turn, Turns, takes_turns

SCOPE: dict[str, Any] = {
    "method": "GET", "raw_path": b"/api/%C3%A4/", "query_string": b"a=1", "http_version": "1.1", "scheme": "http",
    "server": ("127.0.0.1", 80), "client": ("10.0.0.1", 4711), "headers": [],
}  # fmt: skip


def environ(*headers: tuple[bytes, bytes], **scope: Any) -> dict[str, Any]:
    return environ_of({**SCOPE, **scope, "headers": list(headers)}, io.BytesIO())


def test_a_request_is_described_as_pep_3333_has_it():
    made = environ((b"content-type", b"text/plain"), (b"x-a", b"1"), (b"x-a", b"2"))

    assert made["PATH_INFO"] == "/api/ä/".encode().decode("latin-1")
    assert (made["QUERY_STRING"], made["REMOTE_ADDR"], made["CONTENT_TYPE"]) == ("a=1", "10.0.0.1", "text/plain")
    assert made["HTTP_X_A"] == "1,2"
    assert takes_turns(made)


def test_no_header_is_taken_for_another():
    assert "HTTP_X_FORWARDED_PROTO" not in environ((b"x_forwarded_proto", b"https"))


def application(answer: Any) -> Any:
    def called(_environ: dict[str, Any], start_response: Any) -> Any:
        start_response("201 Created", [("X-A", "1")])
        return answer

    return called


# An answer that ends looks after the thread's connections, of which an earlier test may have left one.
@pytest.mark.django_db
def test_an_answer_is_read_as_a_whole_unless_it_is_a_stream():
    whole = call(application(HttpResponse(b"abc")), environ())
    streamed = call(application(StreamingHttpResponse(iter([b"a", b"b"]))), environ())
    file = call(application(FileWrapper(io.BytesIO(b"abc"))), environ())

    assert (whole.status, whole.headers, whole.content, whole.rest) == (201, [(b"x-a", b"1")], b"abc", None)
    assert [streamed.next_piece(), streamed.next_piece()] == [b"ab", b""]
    assert [file.next_piece(), file.next_piece()] == [b"abc", b""]


def test_nothing_is_read_for_a_head():
    answer = call(application(FileWrapper(io.BytesIO(b"abc"))), environ(method="HEAD"))

    assert (answer.content, answer.rest) == (b"", None)


class Two(Turns):
    def __init__(self) -> None:
        self.left = 2

    def take(self) -> Turn:
        self.left -= 1
        return Turn(b"x", 0.0 if self.left else None)


def test_an_answer_in_turns_is_not_waited_for():
    answer = call(application(InTurns(Two())), environ())

    assert answer.turns is not None
    assert answer.content == b""


def test_a_server_without_turns_iterates():
    assert list(InTurns(Two())) == [b"x", b"x"]


@pytest.mark.parametrize(
    "read", [lambda body: body.read(5), lambda body: body.readline(), lambda body: next(iter(body))]
)
def test_who_asks_for_a_body_that_was_not_taken_is_stopped(read):
    with pytest.raises(BodyWanted):
        read(NoBodyYet())
