"""The channel API by HTTP, as docs/reference/channel-api.md has it."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote

import pytest
from rest_framework.test import APIClient

from federated.models import ChannelMessage
from federated.services import ChannelSpec, channel_close
from tests.federated.conftest import LIMIT, client_of
from tests.federated.requests import Topic, body_of, content_digest, pointers, stored_names

pytestmark = pytest.mark.django_db(transaction=True)
ID = "0123456789abcdef" * 2


@pytest.mark.parametrize("value", [b"", b"true", b"x" * LIMIT])
def test_a_message_comes_back_as_it_was_published(topic: Topic, value: bytes) -> None:
    headers = {"message_name": "ended_iteration", "failure_reason": "kein Gerät"}

    posted = topic.post(value, key="7///MESSAGE_SEP///partner ä", Message_Headers=quote(json.dumps(headers)))

    assert (posted.status_code, posted.json()) == (201, {"offset": 0})
    head = {"offset": 0, "key": "7///MESSAGE_SEP///partner ä", "headers": headers, "size": len(value)}
    assert topic.heads() == {"results": [head], "end": 0}
    assert body_of(topic.content(0)) == value


def test_the_null_value_has_no_content(topic: Topic) -> None:
    assert topic.post(None).status_code == 201

    assert topic.heads()["results"][0]["size"] is None
    assert topic.content(0).status_code == 404


def test_offsets_rise_by_one_in_each_topic(topic: Topic, spec: ChannelSpec) -> None:
    other = Topic(topic.client, spec.id, "status")

    assert [topic.post().json()["offset"] for _ in range(3)] == [0, 1, 2]
    assert other.post().json()["offset"] == 0


def test_a_message_sent_again_is_stored_once(topic: Topic) -> None:
    first, between, again = topic.post(message_id=ID), topic.post(), topic.post(message_id=ID.upper())

    assert (first.status_code, between.status_code, again.status_code) == (201, 201, 200)
    assert again.json() == {"offset": 0}
    assert len(stored_names()) == 2


def test_one_id_may_be_in_each_topic(topic: Topic, spec: ChannelSpec) -> None:
    topic.post(message_id=ID)

    assert Topic(topic.client, spec.id, "status").post(message_id=ID).status_code == 201


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Message-Id", ""),
        ("Message-Id", "g" * 32),
        ("Message-Id", "0" * 31),
        ("Message-Key", ""),
        ("Message-Key", "%"),
        ("Message-Key", "%ff"),
        ("Message-Key", "%00"),
        ("Message-Key", "k" * 1001),
        ("Message-Headers", ""),
        ("Message-Headers", "%7B"),
        ("Message-Headers", "[]"),
        ("Message-Headers", quote('{"a": 1}')),
        ("Message-Null", ""),
        ("Message-Null", "no"),
        ("Content-Digest", "md5=:AAAA:"),
        ("Content-Digest", "sha-256=:AAAA:"),
        ("Content-Digest", "sha-256=:====:"),
    ],
)
def test_a_malformed_header_is_refused_by_its_name(topic: Topic, name: str, text: str) -> None:
    response = topic.post(**{name: text})

    assert (response.status_code, pointers(response)) == (400, [f"/headers/{name}"])
    assert topic.heads()["end"] == -1


def test_every_fault_is_told_at_once(topic: Topic) -> None:
    response = topic.post(Message_Id="", Message_Key="", Message_Headers="", Message_Null="")

    assert pointers(response) == [f"/headers/Message-{name}" for name in ("Headers", "Id", "Key", "Null")]


def test_a_null_value_with_a_body_is_refused(topic: Topic) -> None:
    assert pointers(topic.post(b"x", Message_Null="true")) == ["/headers/Message-Null"]


def test_the_right_digest_is_taken(topic: Topic) -> None:
    digest = f"sha-512=:AAAA:, {content_digest(b'abc')}"

    assert topic.post(b"abc", Content_Digest=digest).status_code == 201


def test_another_digest_is_refused_and_leaves_nothing(topic: Topic) -> None:
    response = topic.post(b"abc", Content_Digest=content_digest(b"abd"))

    assert (response.status_code, pointers(response)) == (400, ["/headers/Content-Digest"])
    assert stored_names() == []


def test_one_byte_over_the_limit_is_refused_with_both_numbers(topic: Topic) -> None:
    response = topic.post(b"x" * (LIMIT + 1))

    assert response.status_code == 413
    assert "100001" in response.json()["detail"]
    assert "100000" in response.json()["detail"]
    assert stored_names() == []


@pytest.mark.parametrize("method", ["get", "post"])
def test_another_owners_token_opens_nothing(topic: Topic, spec: ChannelSpec, method: str) -> None:
    for stranger in (client_of(8), client_of(7, attempt=2), client_of(7, kind="task")):
        theirs = Topic(stranger, spec.id, "models_to_manager")
        response = theirs.post() if method == "post" else stranger.get(theirs.url)

        assert (response.status_code, response.json()["code"]) == (403, "permission-denied")


def test_a_person_reads_and_does_not_write(topic: Topic, api: APIClient, spec: ChannelSpec) -> None:
    topic.post(b"abc")
    person = Topic(api, spec.id, "models_to_manager")

    assert person.heads()["end"] == 0
    assert body_of(person.content(0)) == b"abc"
    assert person.post().status_code == 403


def test_nobody_without_a_token(spec: ChannelSpec) -> None:
    topic = Topic(APIClient(), spec.id, "status")

    assert (topic.post().status_code, APIClient().get(topic.url).status_code) == (401, 401)


@pytest.mark.parametrize("address", ["/api/channels/none/status/messages/", "/api/channels/{}/other/messages/"])
def test_there_is_no_such_channel_or_topic(workflow: APIClient, spec: ChannelSpec, address: str) -> None:
    response = workflow.get(address.format(quote(spec.id)))

    assert (response.status_code, response.json()["code"]) == (404, "not-found")


def test_a_closed_channel_is_gone(topic: Topic, spec: ChannelSpec) -> None:
    topic.post(b"abc")
    channel_close(spec.id)

    responses = [topic.post(), topic.client.get(topic.url), topic.content(0)]

    assert {response.status_code for response in responses} == {410}
    assert responses[0].json()["code"] == "channel-closed"
    assert stored_names() == []
    assert not ChannelMessage.objects.exists()


def test_heads_are_given_from_where_and_as_many_as_asked(topic: Topic) -> None:
    for _ in range(4):
        topic.post()

    answer = topic.heads("?after=0&limit=2&wait=0")

    assert [head["offset"] for head in answer["results"]] == [1, 2]
    assert answer["end"] == 3


def test_who_waits_in_vain_gets_an_empty_list(topic: Topic) -> None:
    assert topic.heads("?after=-1&wait=0.05") == {"results": [], "end": -1}


@pytest.mark.parametrize(
    "query", ["after=x", "after=-2", "after=1.5", "wait=-1", "wait=20.5", "wait=nan", "limit=0", "limit=101", "wat=1"]
)
def test_a_query_that_makes_no_sense_is_refused_by_name(topic: Topic, query: str) -> None:
    response = topic.client.get(f"{topic.url}?{query}")

    assert (response.status_code, pointers(response)) == (400, [f"/query/{query.partition('=')[0]}"])


def test_a_part_of_a_value_can_be_had(topic: Topic) -> None:
    topic.post(b"0123456789")

    whole = topic.content(0)
    part = topic.content(0, Range="bytes=4-", **{"If-Range": whole["ETag"]})
    head = topic.client.head(f"{topic.url}0/content/")

    assert body_of(whole) == b"0123456789"
    assert (part.status_code, part["Content-Range"], body_of(part)) == (206, "bytes 4-9/10", b"456789")
    assert (head.status_code, head["Content-Length"], head["ETag"]) == (200, "10", whole["ETag"])
    assert topic.content(0, Range="bytes=10-").status_code == 416


@pytest.mark.parametrize("offset", [1, 10**17])
def test_there_is_no_message_at_another_offset(topic: Topic, offset: int) -> None:
    topic.post()

    assert topic.content(offset).status_code == 404


# Models beside the topics.

MODEL = b"weights" * 1000
SHA256 = hashlib.sha256(MODEL).hexdigest()


@pytest.fixture
def model_url(spec: ChannelSpec) -> str:
    return f"/api/channels/{quote(spec.id, safe='')}/models/{SHA256}/"


def put(client: APIClient, url: str, value: bytes = MODEL, digest: str = "") -> Any:
    headers = {"Content-Digest": digest} if digest else {}
    return client.put(url, value, content_type="application/octet-stream", headers=headers)


def test_a_model_is_stored_once_and_comes_back(workflow: APIClient, model_url: str) -> None:
    first, again = put(workflow, model_url, digest=content_digest(MODEL)), put(workflow, model_url)

    got = workflow.get(model_url)
    assert (first.status_code, again.status_code, len(stored_names())) == (201, 204, 1)
    assert (got["Content-Length"], body_of(got)) == ("7000", MODEL)


def test_a_part_of_a_model_can_be_had(workflow: APIClient, model_url: str) -> None:
    put(workflow, model_url)

    part, head = workflow.get(model_url, headers={"Range": "bytes=6990-"}), workflow.head(model_url)

    assert (part.status_code, body_of(part)) == (206, MODEL[6990:])
    assert (head.status_code, head["Content-Length"], head["ETag"]) == (200, "7000", part["ETag"])


@pytest.mark.parametrize(
    ("value", "digest"), [(b"other", ""), (b"other", content_digest(b"other")), (MODEL, content_digest(b"other"))]
)
def test_a_model_that_its_address_does_not_name_is_refused(
    workflow: APIClient, model_url: str, value: bytes, digest: str
) -> None:
    response = put(workflow, model_url, value, digest)

    assert (response.status_code, pointers(response)) == (400, ["/headers/Content-Digest"])
    assert stored_names() == []


def test_a_model_one_byte_over_the_limit_is_refused(workflow: APIClient, model_url: str) -> None:
    response = put(workflow, model_url, b"x" * (LIMIT + 1))

    assert response.status_code == 413
    assert stored_names() == []


def test_a_model_is_its_own_executions(workflow: APIClient, api: APIClient, model_url: str) -> None:
    put(workflow, model_url)

    assert [client_of(8).get(model_url).status_code, put(client_of(8), model_url).status_code] == [403, 403]
    assert (body_of(api.get(model_url)), put(api, model_url).status_code) == (MODEL, 403)


def test_there_is_no_model_that_nobody_stored(workflow: APIClient, model_url: str) -> None:
    assert workflow.get(model_url).status_code == 404


def test_models_go_with_their_channel(workflow: APIClient, model_url: str, spec: ChannelSpec) -> None:
    put(workflow, model_url)

    channel_close(spec.id)

    assert stored_names() == []
    assert [workflow.get(model_url).status_code, put(workflow, model_url).status_code] == [410, 410]
