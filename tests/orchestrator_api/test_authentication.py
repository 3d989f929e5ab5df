from dataclasses import replace
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from orchestrator_api.models import ApiToken
from orchestrator_api.tokens import hash_of, token_create, token_revoke
from runs.models import TERMINAL_PHASES, RunPhase, WorkflowRun
from web.grants import WorkflowGrant, issue_token

pytestmark = pytest.mark.usefixtures("failing_urls")

GRANT = WorkflowGrant("execution", owner_id=7, attempt=1, name="execution-7-1-abcdef")


def bearer(token: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"authorization": f"{scheme} {token}"}


def whoami(client: Client, **kwargs):
    return client.get("/api/whoami/", **kwargs)


@pytest.fixture
def run(db) -> WorkflowRun:
    return WorkflowRun.objects.create(
        name=GRANT.name, owner_kind="execution", owner_id=7, attempt=1, engine="local", manifest_digest="x"
    )


@pytest.fixture
def callback(run) -> str:
    return issue_token(GRANT, timezone.now() + timedelta(hours=1))


@pytest.mark.parametrize("scheme", ["Bearer", "Token", "bearer"])
def test_a_token_is_its_user(anonymous, token, scheme):
    assert whoami(anonymous, headers=bearer(token, scheme)).json() == {"user": "ada", "workflow": None}


def test_only_a_hash_of_the_token_is_kept(token):
    row = ApiToken.objects.values().get()
    assert row["token_hash"] == hash_of(token)
    assert token not in str(row)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "header", [None, "", "Basic YTpi", "Bearer", "Bearer a b", "Bearer \xe9", "Bearer orc_wrong", "Bearer wf.x"]
)
def test_nobody_gets_a_401_that_says_how(anonymous, header):
    response = whoami(anonymous, headers={"authorization": header} if header is not None else {})
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == 'Bearer realm="orchestrator"'


def test_a_token_ends(anonymous, person, token):
    token_revoke(tokens=ApiToken.objects.all())
    expired = token_create(user=person, name="old", lifetime=timedelta(seconds=-1))[1]
    assert [whoami(anonymous, headers=bearer(text)).status_code for text in (token, expired)] == [401, 401]


def test_a_token_of_somebody_who_left_is_refused(anonymous, person, token):
    person.is_active = False
    person.save()
    assert whoami(anonymous, headers=bearer(token)).status_code == 401


def test_the_use_of_a_token_is_noted_now_and_then(client, django_assert_num_queries):
    whoami(client)
    first = ApiToken.objects.get().last_used_at
    with django_assert_num_queries(1):
        whoami(client)
    assert first is not None
    assert ApiToken.objects.get().last_used_at == first


def test_a_session_works_and_needs_its_csrf_token_to_write(person):
    client = Client(enforce_csrf_checks=True)
    client.force_login(person)
    assert whoami(client).json()["user"] == "ada"
    assert client.post("/api/whoami/").status_code == 403


def test_a_workflow_may_call_while_its_run_goes_on(anonymous, callback, django_assert_num_queries):
    with django_assert_num_queries(1):
        response = whoami(anonymous, headers=bearer(callback))
    assert response.json() == {"user": "", "workflow": 7}


def test_a_workflow_may_not_call_what_is_not_opened_to_it(anonymous, callback):
    assert anonymous.post("/api/whoami/", headers=bearer(callback)).status_code == 403


@pytest.mark.parametrize("phase", sorted(TERMINAL_PHASES))
def test_a_workflows_token_ends_with_its_run(anonymous, run, callback, phase):
    WorkflowRun.objects.update(phase=phase, finished_at=timezone.now())
    assert whoami(anonymous, headers=bearer(callback)).status_code == 401


@pytest.mark.parametrize("change", [{"attempt": 2}, {"owner_id": 8}, {"owner_kind": "task"}, {"name": "another"}])
def test_a_workflows_token_is_good_for_that_attempt_only(anonymous, run, callback, change):
    WorkflowRun.objects.update(phase=RunPhase.RUNNING, **change)
    assert whoami(anonymous, headers=bearer(callback)).status_code == 401


def test_a_workflows_token_is_that_of_a_run_of_its_kind(anonymous, run, callback):
    other = issue_token(replace(GRANT, owner_kind="task"), timezone.now() + timedelta(hours=1))
    assert whoami(anonymous, headers=bearer(callback)).status_code == 200
    assert whoami(anonymous, headers=bearer(other)).status_code == 401
