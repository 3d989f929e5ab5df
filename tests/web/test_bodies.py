import json
from codecs import BOM_UTF8

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.test import RequestFactory
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request

from web.bodies import Body, read_body, read_json_file
from web.errors import Fault, InvalidInput, TooLarge


def request(method="post", data=None, content_type=None, **headers) -> Request:
    kwargs = {"content_type": content_type} if content_type else {}
    django_request = getattr(RequestFactory(), method)("/api/x/", data, **kwargs, **headers)
    return Request(django_request, parsers=[JSONParser(), MultiPartParser()])


def multipart(method="post", **parts) -> Request:
    return request("post", parts) if method == "post" else _patch(parts)


def _patch(parts) -> Request:
    posted = RequestFactory().post("/api/x/", parts)
    body = posted.read()
    return request("patch", body, posted.META["CONTENT_TYPE"])


def faults_of(req: Request) -> list[Fault]:
    with pytest.raises(InvalidInput) as caught:
        read_body(req)
    return list(caught.value.faults)


def file(name="a.json", content=b"{}") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def test_plain_json_is_a_body_without_files():
    assert read_body(request("post", '{"a": 1}', "application/json")) == Body({"a": 1}, {})


@pytest.mark.parametrize("method", ["post", "patch"])
def test_multipart_gives_the_document_and_its_files(method):
    body = read_body(multipart(method, data='{"a": 1}', auxiliary_file=file(content=b"kind: Workflow")))
    assert body.data == {"a": 1}
    assert body.files["auxiliary_file"].read() == b"kind: Workflow"


def test_the_document_may_come_as_a_file_part():
    assert read_body(multipart(data=file("data.json", b'{"a": 1}'))).data == {"a": 1}


@pytest.mark.parametrize("document", ["[]", '"text"', "1", "null"])
def test_a_document_that_is_no_object_is_refused(document):
    assert faults_of(multipart(data=document)) == [Fault("/data", "must be an object")]
    assert faults_of(request("post", document, "application/json")) == [Fault("/data", "must be an object")]


def test_a_missing_document_is_a_fault():
    assert faults_of(multipart(other=file())) == [Fault("/data", "is missing")]
    assert faults_of(request("post", "", "application/json")) == [Fault("/data", "is missing")]
    assert faults_of(request("patch", "")) == [Fault("/data", "is missing")]


def test_all_faults_of_a_form_come_at_once():
    faults = faults_of(multipart(data="{", vars="not a file", twice=[file(), file()]))
    assert sorted(fault.pointer for fault in faults) == ["/data", "/files/twice", "/files/vars"]


def test_two_documents_are_refused():
    assert faults_of(multipart(data=["{}", "{}"])) == [Fault("/data", "is sent more than once")]


def test_another_content_type_is_refused():
    with pytest.raises(UnsupportedMediaType):
        read_body(request("post", "a=1", "application/x-www-form-urlencoded"))


def test_a_request_is_refused_by_its_length_before_it_is_read(settings):
    settings.MAX_REQUEST_BYTES = 10
    with pytest.raises(TooLarge):
        read_body(request("post", json.dumps({"a": "b" * 20}), "application/json"))


def test_a_json_file_is_read_and_left_at_its_beginning():
    upload = file(content=b'{"epochs": 3}')
    assert read_json_file(upload, "/files/vars") == {"epochs": 3}
    assert upload.read() == b'{"epochs": 3}'


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_byte_order_mark_is_taken_from_a_json_file(on_disk):
    upload = file(content=BOM_UTF8 + b'{"epochs": 3}')
    if on_disk:
        spooled = TemporaryUploadedFile("vars.json", "application/json", upload.size, None)
        spooled.write(upload.read())
        upload = spooled

    assert read_json_file(upload, "/files/vars") == {"epochs": 3}
    assert (upload.read(), upload.size) == (b'{"epochs": 3}', 13)
    upload.close()


def test_a_json_file_that_is_none_or_too_large_is_pointed_at():
    with pytest.raises(InvalidInput) as invalid:
        read_json_file(file(content=b"\x00"), "/files/vars")
    with pytest.raises(TooLarge) as large:
        read_json_file(file(content=b"[1, 2]"), "/files/vars", max_bytes=3)
    assert invalid.value.faults[0].pointer == large.value.faults[0].pointer == "/files/vars"


def test_a_document_that_is_not_utf8_is_refused_as_its_text_is_lost():
    assert [fault.pointer for fault in faults_of(multipart(data=b'{"a": "\xff"}'))] == ["/data"]


def test_a_mark_at_the_beginning_is_no_part_of_the_document():
    assert read_body(multipart(data="\ufeff{}")).data == {}
