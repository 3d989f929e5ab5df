import io
from contextlib import closing

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db.models import FileField
from django.db.models.fields.files import FieldFile
from django.test import RequestFactory

from web.downloads import Download, download_response, file_response, json_file_response
from web.errors import NotFound, RangeNotSatisfiable

# The end of an answer closes old database connections.
pytestmark = pytest.mark.django_db

CONTENT = b"0123456789"


def stored(content: bytes = CONTENT) -> FieldFile:
    return FieldFile(None, FileField(), default_storage.save("x/file", ContentFile(content)))


def ask(method="get", content=CONTENT, **headers):
    return read(file_response(getattr(RequestFactory(), method)("/", headers=headers), stored(content), "model.zip"))


def read(response):
    """Read an answer to its end, as every client does, and keep what it held."""
    with closing(response):
        response.body = response.getvalue()
    return response


def test_the_whole_file_comes_with_its_length_and_name():
    response = ask()
    assert (response.status_code, response.body) == (200, CONTENT)
    assert response["Content-Length"] == "10"
    assert response["Accept-Ranges"] == "bytes"
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"] == 'attachment; filename="model.zip"'


def test_head_answers_the_length_and_no_content():
    response = ask("head")
    assert (response["Content-Length"], response.body) == ("10", b"")


@pytest.mark.parametrize(
    ("wanted", "part", "content_range"),
    [
        ("bytes=3-", b"3456789", "bytes 3-9/10"),
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=8-100", b"89", "bytes 8-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-100", CONTENT, "bytes 0-9/10"),
    ],
)
def test_a_single_range_is_answered_with_its_part(wanted, part, content_range):
    response = ask(range=wanted)
    assert (response.status_code, response.body) == (206, part)
    assert response["Content-Range"] == content_range
    assert response["Content-Length"] == str(len(part))


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_outside_of_the_file_is_refused(wanted):
    with pytest.raises(RangeNotSatisfiable) as refusal:
        ask(range=wanted)
    assert refusal.value.headers["Content-Range"] == "bytes */10"


@pytest.mark.parametrize(
    "wanted", ["bytes=5-2", "bytes=0-1,3-4", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=" + "9" * 30]
)
def test_a_range_that_is_not_understood_is_ignored(wanted):
    assert ask(range=wanted).status_code == 200


def test_a_download_resumes_only_while_the_content_is_the_same():
    field_file = stored()
    tag = read(file_response(RequestFactory().get("/"), field_file, "f"))["ETag"]
    for condition, status in ((tag, 206), ('"another"', 200)):
        request = RequestFactory().get("/", headers={"range": "bytes=3-", "if-range": condition})
        assert read(file_response(request, field_file, "f")).status_code == status


def test_an_empty_file_is_an_answer_too():
    response = ask(content=b"")
    assert (response.status_code, response["Content-Length"], response.body) == (200, "0", b"")


def test_a_json_file_says_so():
    response = read(json_file_response(RequestFactory().get("/"), stored(b"{}"), "f.json"))
    assert response["Content-Type"] == "application/json"


def test_a_file_that_is_not_there_is_not_found():
    gone = stored()
    default_storage.delete(gone.name)
    for field_file in (gone, FieldFile(None, FileField(), "")):
        with pytest.raises(NotFound):
            file_response(RequestFactory().get("/"), field_file, "f")


def test_any_content_of_known_size_can_be_a_download():
    request = RequestFactory().get("/", headers={"range": "bytes=1-2"})
    response = read(download_response(request, Download(lambda: io.BytesIO(b"abcd"), 4, "é.txt")))
    assert response.body == b"bc"
    assert "filename*=utf-8''%C3%A9.txt" in response["Content-Disposition"]
