import io
import json

import pytest

from orchestrator_api.incoming import WholeBodies

FORM = "multipart/form-data; boundary=B"
WHOLE = b"--B\r\n\r\nx\r\n--B--\r\n"


def read_all(environ, start_response):
    body = b""
    while chunk := environ["wsgi.input"].read(4):
        body += chunk
    start_response("200 OK", [])
    return [body]


def send(body=b"", length=None, **environ):
    said = []
    answer = WholeBodies(read_all)(
        {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body) if length is None else length), **environ},
        lambda status, headers: said.append(status),
    )
    return said[0], b"".join(answer)


@pytest.mark.parametrize("content_type", [FORM, "application/json", 'application/json; charset="UTF-8"', ""])
def test_a_whole_body_goes_through(content_type):
    assert send(WHOLE, CONTENT_TYPE=content_type) == ("200 OK", WHOLE)


@pytest.mark.parametrize("content_type", [FORM, "application/json"])
def test_a_body_that_breaks_off_is_an_error_not_an_end(content_type):
    with pytest.raises(OSError, match="broke off"):
        send(WHOLE, len(WHOLE) + 5, CONTENT_TYPE=content_type)


def test_a_form_without_its_last_boundary_is_an_error():
    with pytest.raises(OSError, match="no end"):
        send(WHOLE[:-6], CONTENT_TYPE=FORM)


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"CONTENT_TYPE": "application/json; charset=utf-16"}, 415),
        ({"CONTENT_TYPE": f"{FORM}; charset=hex"}, 415),
        ({"HTTP_CONTENT_ENCODING": "gzip"}, 415),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 411),
    ],
)
def test_what_could_be_misread_is_refused(environ, status):
    said, answer = send(WHOLE, **environ)
    assert said.startswith(str(status))
    assert json.loads(answer)["status"] == status
