from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError
from django.test import Client
from django.utils import timezone

from orchestrator_api.models import IdempotencyRecord
from orchestrator_api.tokens import token_create
from web.errors import InvalidInput, ServiceUnavailable

pytestmark = [pytest.mark.usefixtures("failing_urls"), pytest.mark.django_db]


def post(client: Client, key: str = "k1", path: str = "/api/counting/", **parts):
    return client.post(path, parts or {"data": "{}"}, headers={"idempotency-key": key})


def file(content: bytes = b"x", name: str = "a.txt") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def test_a_repeated_post_gets_the_first_answer_again(client, counting):
    first = post(client, data='{"a": 1}', f=file())
    again = post(client, data='{"a": 1}', f=file())
    assert counting.calls == 1
    assert (again.status_code, again.json()) == (201, first.json())
    assert first.json()["files"] == {"f": "x"}
    assert again["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert again["Content-Type"] == first["Content-Type"]


def test_json_bodies_too(client, counting):
    answers = [
        client.post("/api/counting/", {"a": 1}, content_type="application/json", headers={"idempotency-key": "j"})
        for _ in range(2)
    ]
    assert counting.calls == 1
    assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize(
    "parts",
    [
        {"data": '{"a": 2}', "f": file()},
        {"data": '{"a": 1}', "f": file(b"y")},
        {"data": '{"a": 1}', "f": file(name="b.txt")},
        {"data": '{"a": 1}', "g": file()},
        {"data": '{"a": 1}'},
    ],
)
def test_other_content_under_the_same_key_is_refused(client, counting, parts):
    post(client, data='{"a": 1}', f=file())
    response = post(client, **parts)
    assert (response.status_code, response.json()["code"]) == (422, "idempotency-key-reused")
    assert counting.calls == 1


def test_another_address_is_other_content(client, counting):
    post(client)
    assert post(client, path="/api/counting/?dry_run=true").status_code == 422
    assert post(client, path="/api/streaming/").status_code == 422


def test_another_key_is_another_request(client, counting):
    post(client, key="k1")
    post(client, key="k2")
    assert counting.calls == 2


def test_keys_of_two_people_have_nothing_to_do_with_each_other(client, anonymous, counting, django_user_model):
    bob = django_user_model.objects.create_user("bob")
    token = token_create(user=bob, name="t", lifetime=timedelta(days=1))[1]
    post(client)
    anonymous.post(
        "/api/counting/", {"data": "{}"}, headers={"idempotency-key": "k1", "authorization": f"Token {token}"}
    )
    assert counting.calls == 2


def test_a_request_still_under_way_is_a_conflict(client, counting):
    post(client)
    IdempotencyRecord.objects.update(status=None, leased_until=timezone.now() + timedelta(minutes=1))
    response = post(client)
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert counting.calls == 1


def test_a_request_whose_process_died_does_not_block_its_key(client, counting):
    post(client)
    IdempotencyRecord.objects.update(status=None, leased_until=timezone.now() - timedelta(seconds=1))
    assert post(client).status_code == 201
    assert counting.calls == 2
    assert IdempotencyRecord.objects.get().status == 201


def test_a_refusal_is_kept_like_any_answer(client, counting):
    counting.fails_with = InvalidInput("no")
    first = post(client)
    counting.fails_with = None
    assert (post(client).status_code, first.status_code, counting.calls) == (400, 400, 1)


@pytest.mark.parametrize("error", [ServiceUnavailable(), RuntimeError()])
def test_a_fault_of_ours_is_not_kept(client, counting, error):
    counting.fails_with = error
    assert post(client).status_code >= 500
    counting.fails_with = None
    assert post(client).status_code == 201


def test_a_streamed_answer_is_not_kept(client, counting):
    for _ in range(2):
        assert post(client, path="/api/streaming/").getvalue() == b"ab"
    assert counting.calls == 2


def test_keys_expire(client, counting):
    post(client)
    IdempotencyRecord.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    post(client, data='{"other": 1}')
    assert counting.calls == 2
    assert IdempotencyRecord.objects.count() == 1


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256])
def test_a_key_that_is_none_is_refused(client, counting, key):
    assert post(client, key=key).status_code == 400
    assert counting.calls == 0


def test_nobody_leaves_a_key(anonymous, counting):
    assert post(anonymous).status_code == 401
    assert not IdempotencyRecord.objects.exists()


def test_other_methods_do_not_mind_the_header(client):
    assert client.get("/api/whoami/", headers={"idempotency-key": ""}).status_code == 200


def test_a_broken_form_is_refused_before_a_key_is_taken(client):
    response = client.post(
        "/api/counting/", b"--x", content_type="multipart/form-data", headers={"idempotency-key": "k"}
    )
    assert response.status_code == 400
    assert not IdempotencyRecord.objects.exists()


def test_the_key_of_a_process_that_died_is_free_at_once(client, counting, monkeypatch):
    post(client)
    IdempotencyRecord.objects.update(
        status=None, leased_until=timezone.now() + timedelta(minutes=1), leased_by="somebody"
    )
    assert post(client).status_code == 409
    monkeypatch.setattr("orchestrator_api.idempotency.has_ended", lambda kind, name: name == "somebody")
    assert post(client).status_code == 201
    assert counting.calls == 2


def test_a_key_that_is_freed_in_this_moment_is_taken(client, counting, monkeypatch):
    save, tries = IdempotencyRecord.save, []

    def save_or_find_it_taken(record, **options):
        tries.append(record)
        if len(tries) == 1:
            raise IntegrityError
        save(record, **options)

    monkeypatch.setattr(IdempotencyRecord, "save", save_or_find_it_taken)

    assert post(client).status_code == 201
    assert (len(tries), counting.calls) == (2, 1)


def test_what_a_process_created_before_it_died_is_answered_not_created_again(client, counting):
    post(client)
    IdempotencyRecord.objects.update(status=None, leased_until=timezone.now(), created_address="/api/whoami/")
    answer = post(client)
    assert (answer.status_code, answer.json()["user"]) == (201, "ada")
    assert answer["Location"] == "http://testserver/api/whoami/"
    assert counting.calls == 1
    assert post(client)["Idempotent-Replayed"] == "true"


def test_keys_of_workflows_that_run_through_the_upgrade_are_found_again():
    migration = import_module("orchestrator_api.migrations.0004_principals_name_their_owners_kind")
    later = timezone.now() + timedelta(hours=1)
    for principal in ("workflow:7:1", "workflow:7:1:client:ab", "user:7"):
        IdempotencyRecord.objects.create(principal=principal, key="k", digest="d", leased_until=later, expires_at=later)
    names = IdempotencyRecord.objects.order_by("id").values_list("principal", flat=True)

    migration.name_the_kind(apps, None)
    assert [*names.all()] == ["workflow:execution:7:1", "workflow:execution:7:1:client:ab", "user:7"]
    migration.leave_it_out(apps, None)
    assert [*names.all()] == ["workflow:7:1", "workflow:7:1:client:ab", "user:7"]
