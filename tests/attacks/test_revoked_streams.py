"""A token that was revoked or has expired, a session that was ended, a Workflow that is over: each ends its streams."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from engines.base import WorkflowPhase
from federated.models import ChannelMessage
from orchestrator_api.models import ApiToken
from orchestrator_api.tokens import token_create, token_revoke
from registry.models import AIModel, GenericFile
from runs.models import WorkflowRun
from runs.services import run_observe
from tests.attacks.trainings import Attacked, bearer, make_federated
from tests.registry.samples import model
from tests.runs.conftest import engine, make_run, owner, status_of
from web import standing
from web.errors import InvalidToken
from web.grants import Role, WorkflowGrant, issue_token

__all__ = ["engine", "make_federated", "make_run", "owner", "status_of"]

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
LARGE = 9 * 1024**2
Caller = tuple[APIClient | Client, Callable[[], object]]


@pytest.fixture(autouse=True)
def asked_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "RECHECK_SECONDS", 0.02)


@pytest.fixture
def running(make_run: Any, status_of: Any, engine: Any) -> WorkflowRun:
    run = make_run(now=None)
    engine.put(run.name)
    return run_observe(run_id=run.pk, status=status_of(run))


def revoke() -> None:
    token_revoke(tokens=ApiToken.objects.all())


def by_token(person: User, end: Callable[[], object]) -> Caller:
    return bearer(token_create(user=person, name="t", lifetime=HOUR)[1]), end


@pytest.fixture(params=["revoked", "expired", "deactivated", "logged out", "new password"])
def caller(request: pytest.FixtureRequest, person: User) -> Caller:
    """A caller, and what ends its right to call."""
    if request.param == "revoked":
        return by_token(person, revoke)
    if request.param == "expired":
        return by_token(person, lambda: ApiToken.objects.update(expires_at=timezone.now()))
    if request.param == "deactivated":
        return by_token(person, lambda: User.objects.update(is_active=False))
    client = Client()
    client.force_login(person)
    if request.param == "logged out":
        return client, client.session.delete
    return client, lambda: (person.set_password("another"), person.save())


def follow(client: Any, run: WorkflowRun) -> Iterator[bytes]:
    answer = client.get(f"/api/runs/{run.name}/logs/?follow=true&prefix=false")
    assert answer.status_code == 200
    return iter(answer.streaming_content)


# Logs


def test_a_followed_log_that_says_nothing_more_breaks_off(caller: Caller, running: WorkflowRun) -> None:
    client, end = caller
    lines = follow(client, running)
    assert next(lines) == b"hello\n"

    end()
    time.sleep(0.05)

    # The Workflow goes on; an end without an error would look like its own.
    with pytest.raises(InvalidToken):
        list(lines)


def test_a_followed_log_goes_on_while_the_token_is_good(person: User, running: WorkflowRun, engine: Any) -> None:
    client, _ = by_token(person, revoke)
    lines = follow(client, running)
    assert next(lines) == b"hello\n"
    time.sleep(0.05)

    engine.set_phase(running.name, WorkflowPhase.SUCCEEDED)

    assert list(lines) == [b"bye\n"]


def test_not_a_line_comes_after_the_token_has_ended(person: User, running: WorkflowRun, engine: Any) -> None:
    client, end = by_token(person, revoke)
    lines = follow(client, running)
    next(lines)

    end()
    time.sleep(0.05)
    engine.set_phase(running.name, WorkflowPhase.SUCCEEDED)

    with pytest.raises(InvalidToken):
        next(lines)


def test_who_waits_for_a_log_to_begin_waits_no_longer(caller: Caller, make_run: Any) -> None:
    client, end = caller
    answer = client.get(f"/api/runs/{make_run().name}/logs/?follow=true&prefix=false")
    end()
    time.sleep(0.05)

    with pytest.raises(InvalidToken):
        list(answer.streaming_content)


# Downloads and uploads


def large_model() -> AIModel:
    row = model()
    with row.contents.storage.open(row.contents.name or "", "wb") as file:
        file.write(b"x" * LARGE)
    return row


def test_a_large_download_breaks_off(caller: Caller) -> None:
    client, end = caller
    answer: Any = client.get(f"/api/ai_models/{large_model().pk}/download_contents/")
    blocks = iter(answer.streaming_content)
    received = len(next(blocks))

    end()
    time.sleep(0.05)

    with pytest.raises(InvalidToken):
        for block in blocks:
            received += len(block)
    assert received < LARGE
    answer.close()


def test_a_large_download_is_whole_while_the_token_is_good(person: User) -> None:
    client, _ = by_token(person, revoke)

    answer: Any = client.get(f"/api/ai_models/{large_model().pk}/download_contents/")

    assert sum(map(len, answer.streaming_content)) == LARGE == int(answer["Content-Length"])


class EndingBody(io.BytesIO):
    """A request's body in the middle of which its sender's right ends."""

    def __init__(self, content: bytes, end: Callable[[], object]) -> None:
        super().__init__(content)
        self._end: Callable[[], object] | None = end

    def read(self, size: int | None = -1) -> bytes:
        block = super().read(size)
        if self._end is not None and self.tell() >= len(self.getvalue()) // 2:
            self._end()
            self._end = None
            time.sleep(0.05)
        return block


def send_slowly(client: Any, url: str, content: bytes, end: Callable[[], object], **extra: Any) -> Any:
    body = {"wsgi.input": EndingBody(content, end), "CONTENT_LENGTH": str(len(content))}
    return client.generic("POST", url, b"", **{"content_type": "application/octet-stream", **extra, **body})


def test_an_upload_whose_token_ends_meanwhile_stores_nothing(person: User) -> None:
    client, end = by_token(person, revoke)
    disposition = "Content-Disposition: form-data; name="
    document = ["--b", f'{disposition}"data"', "", json.dumps({"name": "x"})]
    archive = ["--b", f'{disposition}"contents"; filename="c.zip"', "", "x" * 3_000_000, "--b--", ""]
    content = "\r\n".join(document + archive).encode()

    answer = send_slowly(client, "/api/generic_files/", content, end, content_type="multipart/form-data; boundary=b")

    assert (answer.status_code, GenericFile.objects.count()) == (401, 0)


def end_the_run(attacked: Attacked) -> Callable[[], object]:
    return lambda: WorkflowRun.objects.filter(pk=attacked.run.pk).update(phase="failed", finished_at=timezone.now())


def test_a_message_whose_workflow_ends_meanwhile_is_not_published(make_federated: Callable[..., Attacked]) -> None:
    training = make_federated()
    headers = {
        "HTTP_MESSAGE_ID": "0" * 32,
        "HTTP_MESSAGE_KEY": quote(training.channel_id, safe=""),
        "HTTP_MESSAGE_HEADERS": quote("{}"),
        "HTTP_MESSAGE_NULL": "false",
    }

    answer = send_slowly(
        training.clients["server"], training.topic("status"), b"x" * 3_000_000, end_the_run(training), **headers
    )

    assert (answer.status_code, ChannelMessage.objects.count()) == (401, 0)


# Long polls


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["the Workflow ends", "the token expires", "a person's token is revoked"])
def test_a_long_poll_ends_before_its_time(make_federated: Callable[..., Attacked], person: User, kind: str) -> None:
    training = make_federated()
    client, end = {
        "the Workflow ends": lambda: (training.clients["server"], end_the_run(training)),
        "the token expires": lambda: (bearer(short_token(training)), lambda: None),
        "a person's token is revoked": lambda: by_token(person, revoke),
    }[kind]()
    answers: list[Any] = []

    def poll() -> None:
        answers.append(client.get(f"{training.topic('models_to_manager')}?wait=20"))
        connection.close()

    waiting = threading.Thread(target=poll)
    waiting.start()
    time.sleep(0.3)
    end()
    waiting.join(timeout=15)

    assert [answer.status_code for answer in answers] == [401]


def short_token(training: Attacked) -> str:
    run = training.run
    grant = WorkflowGrant(run.owner_kind, run.owner_id, run.attempt, run.name, Role.SERVER)
    # Tokens count whole seconds.
    return issue_token(grant, timezone.now() + timedelta(seconds=2))


# The check itself


def test_a_check_costs_one_query_and_not_each_time(
    person: User, running: WorkflowRun, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    monkeypatch.setattr(standing, "RECHECK_SECONDS", 60.0)
    client, _ = by_token(person, revoke)
    lines = follow(client, running)

    with django_assert_max_num_queries(0):
        next(lines)
