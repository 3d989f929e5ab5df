"""Trying an execution again, as its next attempt."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connections
from rest_framework.test import APIClient

from engines.base import WorkflowPhase, WorkflowStatus
from executions.attempts import execution_retry
from executions.models import Execution, ExecutionAttempt
from executions.outcomes import execution_to_failed, execution_to_running, execution_to_succeeded
from executions.owner import ExecutionOwner
from executions.services import execution_create, execution_delete, execution_stop
from executions.transitions import State
from runs.models import WorkflowRun
from runs.services import run_observe, run_vanish
from tests.executions.conftest import FEDERATED, federated_document, training_document, training_files
from web.errors import Conflict, NotAllowedInState, NotFound
from web.grants import WorkflowGrant

PRODUCED = {"ai_model": {"ai_model": 1}, "evaluation_metrics": [{"evaluation_metric": 2}]}


def url(execution: Execution, rest: str = "") -> str:
    return f"/api/executions/{execution.pk}/{rest}"


def observed(run: WorkflowRun, phase: WorkflowPhase, message: str = "", version: str = "1") -> None:
    run_observe(run_id=run.pk, status=WorkflowStatus(run.name, phase, message, version=version))


@pytest.fixture
def failed(training: Execution) -> Execution:
    """An execution whose Workflow has called back that it failed, and has ended."""
    run = WorkflowRun.objects.get()
    observed(run, WorkflowPhase.RUNNING)
    execution_to_failed(execution_id=training.pk, document={"message": "no data"})
    observed(run, WorkflowPhase.FAILED, "exit code 1", version="2")
    training.refresh_from_db()
    return training


def parameters_of(run: WorkflowRun) -> dict[str, str]:
    given = run.manifest["spec"]["arguments"]["parameters"]
    return {each["name"]: each["value"] for each in given if "value" in each}


def test_the_next_attempt_begins_with_a_run_of_its_own(failed: Execution) -> None:
    again = execution_retry(execution_id=failed.pk)

    first, second = WorkflowRun.objects.order_by("attempt")
    assert (again.pk, again.state, again.attempt, again.message, again.reason) == (failed.pk, "pending", 2, "", "")
    assert (first.phase, second.phase, second.attempt) == ("failed", "queued", 2)
    assert second.name.startswith(f"execution-{failed.pk}-2-")
    assert second.manifest["metadata"]["name"] == second.name
    assert second.config_maps.keys() == {f"{second.name}-platform-vars"}


def test_it_gets_the_same_inputs_without_asking_the_registry(failed: Execution, settings: Any) -> None:
    # Nobody answers there.
    settings.VALIDATE_WITH_MAAS = True

    execution_retry(execution_id=failed.pk)

    first, second = (parameters_of(run) for run in WorkflowRun.objects.order_by("attempt"))
    changed = {name for name in first if first[name] != second[name]}
    assert first.keys() == second.keys()
    assert all(name.endswith(("api-host", "VarsConfigMapName")) for name in changed), changed


def test_a_federated_attempt_talks_over_channels_of_its_own(make_schema: Any) -> None:
    make_schema("federated", FEDERATED)
    execution = execution_create(document=federated_document(), files=training_files())
    execution_stop(execution_id=execution.pk)

    execution_retry(execution_id=execution.pk)

    first, second = (parameters_of(run) for run in WorkflowRun.objects.order_by("attempt"))
    assert first["execution_communicationAdapterId"] != second["execution_communicationAdapterId"]
    assert first["execution_dataPartnerPatientsList"] == second["execution_dataPartnerPatientsList"]


def test_what_came_of_the_earlier_attempt_is_kept(api: APIClient, failed: Execution) -> None:
    response = api.post(url(failed, "retry/"))

    first, second = (f"http://testserver/api/runs/{run.name}/" for run in WorkflowRun.objects.order_by("attempt"))
    assert response.status_code == 201
    assert response["Location"] == f"http://testserver{url(failed)}"
    assert response.json()["state"] == {"status": "pending"}
    state = {"status": "failed", "message": "no data", "reason": "callback"}
    assert response.json()["attempts"] == [
        {"attempt": 1, "schema_version": 1, "state": state, "run": first},
        {"attempt": 2, "schema_version": 1, "state": {"status": "pending"}, "run": second},
    ]
    assert api.get(url(failed)).json() == response.json()
    assert api.get(f"/api/runs/?owner_kind=execution&owner_id={failed.pk}&attempt=1").json()["count"] == 1


def test_what_is_not_there_is_not_tried_again(db: None) -> None:
    with pytest.raises(NotFound):
        execution_retry(execution_id=1)


@pytest.mark.parametrize("state", [State.PENDING, State.RUNNING, State.SUCCEEDED])
def test_only_a_failure_is_tried_again(api: APIClient, training: Execution, state: State) -> None:
    if state == State.RUNNING:
        execution_to_running(execution_id=training.pk, document={})
    if state == State.SUCCEEDED:
        execution_to_succeeded(execution_id=training.pk, document=PRODUCED)

    response = api.post(url(training, "retry/"))

    assert response.status_code == 409
    assert state in response.json()["detail"]
    assert WorkflowRun.objects.count() == 1


def test_a_workflow_that_still_ends_is_waited_for(api: APIClient, training: Execution) -> None:
    run = WorkflowRun.objects.get()
    observed(run, WorkflowPhase.RUNNING)
    execution_stop(execution_id=training.pk)

    response = api.post(url(training, "retry/"))

    assert response.status_code == 409
    assert f"{run.name} of the last attempt has not ended yet" in response.json()["detail"]
    observed(run, WorkflowPhase.FAILED, version="2")
    assert api.post(url(training, "retry/")).status_code == 201


def test_a_lost_one_is_tried_again(training: Execution) -> None:
    run = WorkflowRun.objects.get()
    observed(run, WorkflowPhase.RUNNING)
    run_vanish(run_id=run.pk)

    assert execution_retry(execution_id=training.pk).state == State.PENDING
    assert ExecutionAttempt.objects.get().reason == "lost"


def test_what_never_started_is_not_tried_again(make_schema: Any) -> None:
    make_schema()
    execution = execution_create(document=training_document(), files=training_files(), start=False)
    execution_to_failed(execution_id=execution.pk, document={"message": "x"})

    with pytest.raises(Conflict, match="never started"):
        execution_retry(execution_id=execution.pk)


def test_a_repeated_request_begins_one_attempt(
    api: APIClient, failed: Execution, django_assert_num_queries: Any
) -> None:
    headers = {"Idempotency-Key": "once"}

    first = api.post(url(failed, "retry/"), headers=headers)
    second = api.post(url(failed, "retry/"), headers=headers)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert WorkflowRun.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_begins_an_attempt(failed: Execution) -> None:
    together, outcomes = threading.Barrier(2), []

    def retry() -> None:
        together.wait()
        try:
            outcomes.append(execution_retry(execution_id=failed.pk).attempt)
        except Conflict as error:
            outcomes.append(error.status)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=retry) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == [2, 409]
    assert WorkflowRun.objects.count() == 2


def test_an_earlier_attempts_token_closes_nothing(failed: Execution) -> None:
    execution_retry(execution_id=failed.pk)
    client = APIClient()
    client.force_authenticate(AnonymousUser(), token=WorkflowGrant("execution", failed.pk, 1, "its-name"))  # type: ignore[arg-type]

    response = client.patch(url(failed, "update_to_failed/"), {"message": "late"}, format="json")

    assert response.status_code == 403
    assert Execution.objects.get().state == State.PENDING


@pytest.mark.parametrize(
    ("verb", "document"),
    [(execution_to_running, {}), (execution_to_failed, {"message": "late"}), (execution_to_succeeded, PRODUCED)],
)
def test_a_callback_that_was_overtaken_by_a_retry_closes_nothing(failed: Execution, verb: Any, document: Any) -> None:
    # It was let in while its attempt was the present one, and reaches the row only now.
    execution_retry(execution_id=failed.pk)

    with pytest.raises(NotAllowedInState):
        verb(execution_id=failed.pk, document=document, attempt=1)

    assert Execution.objects.get().state == State.PENDING


def test_an_earlier_attempts_run_says_nothing_of_the_present_one(failed: Execution) -> None:
    execution_retry(execution_id=failed.pk)
    first = WorkflowRun.objects.get(attempt=1)

    ExecutionOwner().phase_changed(first)
    ExecutionOwner().message_amended(first, "no data")

    failed.refresh_from_db()
    assert (failed.state, failed.message) == (State.PENDING, "")


def test_the_present_attempts_run_still_decides(failed: Execution) -> None:
    execution_retry(execution_id=failed.pk)

    observed(WorkflowRun.objects.get(attempt=2), WorkflowPhase.ERROR, "again")

    failed.refresh_from_db()
    assert (failed.state, failed.message) == (State.FAILED, "again")


def test_deleting_takes_every_attempt_along(failed: Execution) -> None:
    execution_retry(execution_id=failed.pk)

    execution_delete(execution_id=failed.pk)

    assert not WorkflowRun.objects.filter(delete_requested_at=None).exists()
    assert not ExecutionAttempt.objects.exists()


def test_no_clinical_data_are_read_for_it(failed: Execution, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(30) as captured:
        execution_retry(execution_id=failed.pk)

    assert not [query for query in captured.captured_queries if '"entry"' in query["sql"]]
