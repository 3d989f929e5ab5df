import io
import zipfile

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile

from registry.models import GenericFile
from tests.registry.samples import form, generic_file, pointers, zip_bytes, zip_part

pytestmark = pytest.mark.django_db
URL = "/api/generic_files/"


def content_of(response):
    return b"".join(response.streaming_content)


def test_a_posted_archive_is_answered_with_its_urls(api):
    response = api.post(URL, form({"name": "g"}, contents=zip_part()), format="multipart")

    assert response.status_code == 201
    answer = response.json()
    url = f"http://testserver/api/generic_files/{answer['id']}/"
    del answer["created_at"]
    assert answer == {
        "url": url,
        "id": answer["id"],
        "name": "g",
        "listed_contents": f"{url}listed_contents/",
        "individual_contents_download": f"{url}individual_contents_download/",
        "packed_contents_download": f"{url}packed_contents_download/",
    }


def test_contents_are_listed(api):
    row = generic_file(files={"a.txt": b"a", "deep/b.txt": b"b", "empty/": b""})

    assert api.get(f"{URL}{row.pk}/listed_contents/").json() == {"listed_contents": ["a.txt", "deep/b.txt"]}


def test_one_file_is_streamed_with_its_length(api):
    url = f"{URL}{generic_file().pk}/individual_contents_download/?file_path=deep/notes.txt"

    answer = api.get(url)

    assert (answer.status_code, answer["Content-Length"], content_of(answer)) == (200, "10", b"0123456789")
    assert api.head(url)["Content-Length"] == "10"


def test_a_range_of_one_file(api):
    url = f"{URL}{generic_file().pk}/individual_contents_download/?file_path=deep/notes.txt"

    answer = api.get(url, headers={"Range": "bytes=4-"})

    assert (answer.status_code, answer["Content-Range"], content_of(answer)) == (206, "bytes 4-9/10", b"456789")


@pytest.mark.parametrize("query", ["", "?file_path=", "?file_path=no", "?file_path=../x", "?file_path=folder/"])
def test_a_path_that_is_not_inside_is_refused(api, query):
    row = generic_file(files={"folder/": b"", "a": b"a"})

    response = api.get(f"{URL}{row.pk}/individual_contents_download/{query}")

    assert (response.status_code, pointers(response)) == (400, ["/query/file_path"])


def test_an_archive_whose_files_are_not_where_it_says_is_refused(api):
    content = bytearray(zip_bytes({"a": b"a", "b": b"b"}))
    content[0:4] = b"XXXX"
    upload = SimpleUploadedFile("contents", bytes(content))

    answer = api.post(URL, form({"name": "g"}, contents=upload), format="multipart")

    assert pointers(answer) == ["/files/contents"]
    assert not GenericFile.objects.exists()


@pytest.mark.parametrize("size", [1, None], ids=["another size", "another content"])
def test_a_file_that_is_broken_inside_is_refused_before_the_answer_begins(api, size):
    content = bytearray(zip_bytes({"a": b"a" * 1000}))
    directory = content.find(b"PK\x01\x02")
    if size:
        content[directory + 24 : directory + 28] = size.to_bytes(4, "little")
    else:
        content[directory + 16 : directory + 20] = b"crc!"
    upload = SimpleUploadedFile("contents", bytes(content))
    posted = api.post(URL, form({"name": "g"}, contents=upload), format="multipart")

    answer = api.get(posted.json()["individual_contents_download"] + "?file_path=a")

    assert (posted.status_code, answer.status_code) == (201, 400)


def test_the_archive_is_downloaded_as_it_came(api):
    content = zip_bytes()
    upload = SimpleUploadedFile("contents", content)
    posted = api.post(URL, form({"name": "g"}, contents=upload), format="multipart")

    assert content_of(api.get(posted.json()["packed_contents_download"])) == content


def test_a_file_name_that_no_header_takes_is_still_served(api):
    row = generic_file(files={'a"\r\nX: y': b"x"})

    answer = api.get(f"{URL}{row.pk}/individual_contents_download/", {"file_path": 'a"\r\nX: y'})

    assert (answer.status_code, content_of(answer)) == (200, b"x")


def encrypted_zip():
    content = bytearray(zip_bytes({"a": b"a"}))
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as archive:
        start = archive.start_dir
    content[start + 8] |= 1
    return bytes(content)


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"x" * 1000, encrypted_zip(), zip_bytes({"/abs": b""}), zip_bytes()[:-10]]
)
def test_what_is_no_safe_zip_is_refused(api, content):
    upload = SimpleUploadedFile("contents", content)

    response = api.post(URL, form({"name": "g"}, contents=upload), format="multipart")

    assert (response.status_code, pointers(response)) == (400, ["/files/contents"])
    assert not GenericFile.objects.exists()


def test_plain_json_lacks_the_file(api):
    assert pointers(api.post(URL, {"name": "g"}, format="json")) == ["/files/contents"]


def test_there_is_no_patch_and_no_put(api):
    row = generic_file()

    assert api.patch(f"{URL}{row.pk}/", {"name": "x"}, format="json").status_code == 405
    assert api.put(f"{URL}{row.pk}/", {"name": "x"}, format="json").status_code == 405


def test_delete_takes_the_file(api, django_capture_on_commit_callbacks):
    row = generic_file()

    with django_capture_on_commit_callbacks(execute=True):
        assert api.delete(f"{URL}{row.pk}/").status_code == 204

    assert default_storage.listdir("registry/generic_files")[1] == []


def test_a_file_that_vanished_from_the_storage_is_404(api):
    row = generic_file()
    default_storage.delete(row.contents.name)

    assert api.get(f"{URL}{row.pk}/packed_contents_download/").status_code == 404
    assert api.get(f"{URL}{row.pk}/listed_contents/").status_code == 404


def test_filter_and_sort(api):
    generic_file(name="a")
    generic_file(name="b")

    assert [row["name"] for row in api.get(f"{URL}?name=a").json()["results"]] == ["a"]
    assert [row["name"] for row in api.get(f"{URL}?sort=created_at").json()["results"]] == ["a", "b"]
