"""A Schema's versions: a PATCH makes the next one, and none is lost."""

import threading

import pytest
from django.core.management import call_command
from django.db import connections

from schemas.models import EarlierSchemaVersion, Schema
from schemas.posting import CheckedSchema
from schemas.services import schema_replace
from tests.schemas.samples import DOCUMENT, MANIFEST, document, form, part
from web.errors import Conflict, NotFound

pytestmark = pytest.mark.django_db
URL = "/api/schemas/"
ONE = f"{URL}training/"
OTHER = MANIFEST.replace("busybox", "busybox:1.36")


def posted(api, **changes):
    response = api.post(URL, form(document(**changes)), format="multipart")
    assert response.status_code == 201, response.content
    return response.json()


@pytest.fixture
def stored(api):
    """A Schema whose file nobody checks, which takes a while."""
    return posted(api, implementation="dummy")


@pytest.fixture
def checked(api):
    return posted(api)


def patched(api, data=None, headers=None, **files):
    body = form(data if data is not None else {}, **files) if files else data
    kind = "multipart" if files else "json"
    return api.patch(ONE, body, format=kind, headers=headers or {})


def downloaded(api, url):
    return b"".join(api.get(url).streaming_content).decode()


def pointers(response):
    return {error["pointer"] for error in response.json()["errors"]}


def test_a_patch_stores_description_and_manifest_as_the_next_version(api, checked):
    response = patched(api, {"description": "Trains better."}, auxiliary_file=part(OTHER))

    answer = response.json()
    assert response.status_code == 200, response.content
    assert (answer["name"], answer["version"], answer["description"]) == ("training", 2, "Trains better.")
    assert downloaded(api, answer["auxiliary_file"]) == OTHER
    assert Schema.objects.get().manifest["spec"]["templates"][0]["container"]["image"] == "busybox:1.36"
    assert api.get(ONE).json() == answer


def test_what_a_patch_does_not_name_stays(api, stored):
    described = patched(api, {"description": "Trains better."}).json()
    other = patched(api, auxiliary_file=part(OTHER)).json()

    kept = {field: stored[field] for field in DOCUMENT if field != "description"}
    assert {field: other[field] for field in kept} == kept
    assert (described["version"], downloaded(api, f"{described['auxiliary_file']}?version=2")) == (2, MANIFEST)
    assert (other["version"], other["description"]) == (3, "Trains better.")
    assert other["created_at"] == stored["created_at"]


def test_a_patch_of_the_manifest_alone_needs_no_document(api, stored):
    answer = api.patch(ONE, {"auxiliary_file": part(OTHER)}, format="multipart")

    assert answer.status_code == 200, answer.content
    assert (answer.json()["version"], answer.json()["description"]) == (2, "Trains.")


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", ""])
def test_a_patch_without_anything_is_refused(api, stored, kind):
    response = api.generic("PATCH", ONE, b"", content_type=kind)

    assert response.status_code == 400
    assert pointers(response) == {"/data"}


def test_versions_lists_all_of_them_the_newest_first(api, stored):
    patched(api, {"description": "Second."})
    patched(api, auxiliary_file=part(OTHER))

    page = api.get(f"{ONE}versions/").json()

    assert page["count"] == 3
    assert [(each["name"], each["version"], each["description"]) for each in page["results"]] == [
        ("training", 3, "Second."),
        ("training", 2, "Second."),
        ("training", 1, "Trains."),
    ]
    assert [downloaded(api, each["auxiliary_file"]) for each in page["results"]] == [OTHER, MANIFEST, MANIFEST]
    assert [api.get(each["url"]).json() for each in page["results"]] == page["results"]
    assert page["results"][2]["created_at"] < page["results"][0]["created_at"]


def test_versions_come_in_pages(api, stored):
    for number in range(3):
        patched(api, {"description": str(number)})

    page = api.get(f"{ONE}versions/", {"page_size": 2, "page": 2}).json()

    assert [each["version"] for each in page["results"]] == [2, 1]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("nothing/versions/", 404),
        ("training/?version=2", 404),
        ("training/?version=0", 404),
        ("training/?version=x", 400),
        ("training/?version=-1", 400),
        ("training/?version=99999999999999999999", 400),
        ("training/download_auxiliary_file/?version=2", 404),
        ("training/versions/?page=x", 400),
    ],
)
def test_versions_that_are_not_there_are_told(api, stored, path, status):
    response = api.get(URL + path)

    assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json")


def test_a_patch_that_says_nothing_new_makes_no_version(api, stored):
    again = patched(api, {"description": DOCUMENT["description"]}, auxiliary_file=part(MANIFEST))

    assert (again.status_code, again.json()) == (200, stored)
    assert not EarlierSchemaVersion.objects.exists()


def test_a_patch_may_repeat_what_was_posted(api, stored):
    again = document(implementation="dummy", description="Trains better.")
    answer = patched(api, again, auxiliary_file=part(OTHER)).json()

    assert (answer["version"], answer["description"]) == (2, "Trains better.")


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({}, "/data"),
        ({"name": "other"}, "/data/name"),
        ({"type": "joint"}, "/data/type"),
        ({"implementation": "argo_workflows"}, "/data/implementation"),
        ({"output_elements": {**DOCUMENT["output_elements"], "generic_file": True}}, "/data/output_elements"),
        ({"ai_elements": {"ai_engines": []}}, "/data/ai_elements"),
        ({"version": 7}, "/data/version"),
        ({"description": 3}, "/data/description"),
        ({"description": "x" * 10_001}, "/data/description"),
    ],
)
def test_a_patch_of_anything_else_is_refused(api, stored, data, pointer):
    response = patched(api, data)

    assert response.status_code == 400
    assert pointers(response) == {pointer}
    assert api.get(ONE).json() == stored


def test_all_faults_of_a_patch_come_at_once(api, checked):
    response = patched(api, {"description": 3, "colour": "red"}, auxiliary_file=part("kind: [1\n"), other=part(b"x"))

    assert pointers(response) == {"/data/description", "/data/colour", "/files/auxiliary_file", "/files/other"}


def test_each_version_is_held_to_the_policy(api, checked):
    hostile = MANIFEST.replace("  templates:", "  hostNetwork: true\n  templates:")

    response = patched(api, auxiliary_file=part(hostile))

    assert response.status_code == 400
    assert "/files/auxiliary_file#/spec/hostNetwork" in pointers(response)


def test_what_stays_is_held_to_the_policy_of_now(api, checked, settings):
    settings.MANIFEST_SERVICE_ACCOUNTS = []

    response = patched(api, {"description": "Trains better."})

    assert response.status_code == 400
    assert any(pointer.startswith("/files/auxiliary_file#") for pointer in pointers(response))


def test_a_schema_that_is_not_there_has_no_next_version(api):
    assert patched(api, {"description": "x"}).status_code == 404


def test_only_a_person_makes_versions(api, stored, client):
    assert client.patch(ONE, {"description": "x"}, content_type="application/json").status_code == 401


# Two who change the same Schema


def test_the_tag_of_an_answer_names_its_version(api, stored):
    first = api.get(ONE)["ETag"]
    changed = patched(api, {"description": "Second."}, {"If-Match": first})

    assert changed.status_code == 200
    assert changed["ETag"] == api.get(ONE)["ETag"] != first


def test_a_patch_of_what_is_no_longer_the_newest_is_refused(api, stored):
    seen = api.get(ONE)["ETag"]
    patched(api, {"description": "Somebody else's."})

    response = patched(api, {"description": "Mine."}, {"If-Match": seen})

    assert (response.status_code, response.json()["code"]) == (412, "precondition-failed")
    assert "newest version is 2" in response.json()["detail"]
    assert api.get(ONE).json()["description"] == "Somebody else's."


def test_a_patch_that_is_sent_again_is_answered_like_the_first(api, stored):
    seen = api.get(ONE)["ETag"]

    answers = [patched(api, {"description": "Second."}, {"If-Match": seen}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize(("tag", "status"), [("*", 200), ('"other", {seen}', 200), ("nonsense", 412), ('"0-1"', 412)])
def test_a_tag_may_be_any_or_one_of_several(api, stored, tag, status):
    seen = api.get(ONE)["ETag"]

    assert patched(api, {"description": "x"}, {"If-Match": tag.format(seen=seen)}).status_code == status


def test_a_delete_may_name_what_it_means(api, stored):
    seen = api.get(ONE)["ETag"]
    patched(api, {"description": "Second."})

    assert api.delete(ONE, headers={"If-Match": seen}).status_code == 412
    assert api.delete(ONE, headers={"If-Match": api.get(ONE)["ETag"]}).status_code == 204


def test_a_schema_made_anew_has_other_tags(api, stored):
    seen = api.get(ONE)["ETag"]
    api.delete(ONE)
    posted(api, implementation="dummy")

    assert patched(api, {"description": "x"}, {"If-Match": seen}).status_code == 412


def test_what_was_checked_against_an_older_version_is_not_stored(api, stored):
    looked_at = Schema.objects.get()
    patched(api, {"description": "Somebody else's."})
    late = CheckedSchema(document(description="Mine."), MANIFEST.encode(), {"kind": "Workflow"})

    with pytest.raises(Conflict, match="Version 2"):
        schema_replace(schema=looked_at, checked=late)
    assert Schema.objects.get().description == "Somebody else's."


def test_what_was_deleted_meanwhile_is_not_stored(api, stored, settings):
    looked_at = Schema.objects.get()
    Schema.objects.all().delete()
    files = {path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()}

    with pytest.raises(NotFound):
        schema_replace(schema=looked_at, checked=CheckedSchema(document(), MANIFEST.encode(), {}))
    assert {path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()} == files


@pytest.mark.django_db(transaction=True)
def test_of_several_at_the_same_time_each_is_stored_or_told(api):
    api.post(URL, document(implementation="dummy"), format="json")
    looked_at = Schema.objects.get()
    told: list[str] = []
    ready = threading.Barrier(5)

    def change(number: int) -> None:
        checked = CheckedSchema(document(implementation="dummy", description=str(number)), None, None)
        ready.wait()
        try:
            told.append(schema_replace(schema=looked_at, checked=checked).description)
        except Conflict:
            told.append("conflict")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=change, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert told.count("conflict") == 4
    assert Schema.objects.get().description in told
    assert Schema.objects.get().version == 2


# What becomes of the files


def test_delete_removes_the_files_of_all_versions(api, stored, settings, django_capture_on_commit_callbacks):
    patched(api, auxiliary_file=part(OTHER))
    assert len([path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()]) == 2

    with django_capture_on_commit_callbacks(execute=True):
        assert api.delete(ONE).status_code == 204

    assert not EarlierSchemaVersion.objects.exists()
    assert not [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()]


def test_a_version_whose_file_was_lost_needs_another(api, checked):
    file = Schema.objects.get().auxiliary_file
    file.storage.delete(file.name)

    assert pointers(patched(api, {"description": "x"})) == {"/files/auxiliary_file"}
    assert patched(api, auxiliary_file=part(MANIFEST)).json()["version"] == 2


# Shipped Schemas

SHIPPED = "training-from-scratch"


def load(capsys, *arguments):
    call_command("load_schemas", *arguments)
    return dict(line.split() for line in capsys.readouterr().out.splitlines())[SHIPPED]


def test_a_shipped_schema_that_differs_gets_a_new_version(capsys):
    load(capsys)
    Schema.objects.filter(name=SHIPPED).update(description="of yesterday")

    assert load(capsys) == "updated"
    schema = Schema.objects.get(name=SHIPPED)
    assert (schema.version, schema.is_shipped) == (2, True)
    assert [version.description for version in schema.earlier_versions.all()] == ["of yesterday"]


def test_a_shipped_schema_that_was_changed_here_is_kept(api, capsys):
    load(capsys)
    api.patch(f"{URL}{SHIPPED}/", {"description": "ours"}, format="json")

    assert load(capsys) == "kept"
    assert load(capsys, "--check") == "kept"
    assert Schema.objects.get(name=SHIPPED).description == "ours"


def test_an_operator_may_go_back_to_what_is_shipped(api, capsys):
    load(capsys)
    api.patch(f"{URL}{SHIPPED}/", {"description": "ours"}, format="json")

    assert load(capsys, "--overwrite") == "updated"
    schema = Schema.objects.get(name=SHIPPED)
    assert (schema.version, schema.is_shipped) == (3, True)
    assert load(capsys) == "unchanged"


def test_what_was_changed_back_is_shipped_again(api, capsys):
    load(capsys)
    shipped = Schema.objects.get(name=SHIPPED).description
    for description in ("ours", shipped):
        api.patch(f"{URL}{SHIPPED}/", {"description": description}, format="json")

    assert load(capsys) == "unchanged"
    assert Schema.objects.get(name=SHIPPED).is_shipped


# In the admin


def test_the_admin_shows_the_versions(admin_client, api, stored):
    patched(api, {"description": "Second."}, auxiliary_file=part(OTHER))

    page = admin_client.get(f"/admin/schemas/schema/{Schema.objects.get().pk}/change/").content.decode()

    assert "busybox:1.36" in page
    assert f"{ONE}download_auxiliary_file/?version=1" in page


def test_the_admin_deletes_a_schema_with_its_versions(
    admin_client, api, stored, settings, django_capture_on_commit_callbacks
):
    patched(api, auxiliary_file=part(OTHER))
    address = f"/admin/schemas/schema/{Schema.objects.get().pk}/delete/"

    with django_capture_on_commit_callbacks(execute=True):
        assert admin_client.post(address, {"post": "yes"}).status_code == 302

    assert not Schema.objects.exists()
    assert not [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()]
