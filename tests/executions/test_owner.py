from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from engines.base import WorkflowPhase, WorkflowStatus
from executions.models import Execution
from executions.outcomes import execution_to_failed
from executions.owner import ExecutionOwner
from runs.explanations import run_end_explained
from runs.models import RunDocument, WorkflowRun
from runs.owners import owner_of
from runs.services import run_observe, run_vanish
from web.errors import InvalidToken
from web.grants import Role, WorkflowGrant, read_token


@pytest.fixture
def run(training: Execution) -> WorkflowRun:
    return WorkflowRun.objects.get()


def token_of(run: WorkflowRun) -> str:
    return ExecutionOwner().prepare(run).secrets[f"{run.name}-callback"]["main"]


def test_executions_own_their_runs(run: WorkflowRun) -> None:
    assert isinstance(owner_of(run), ExecutionOwner)


def test_the_token_speaks_for_this_attempt_only(run: WorkflowRun) -> None:
    grant = WorkflowGrant(run.owner_kind, run.owner_id, run.attempt, run.name, Role.MAIN, "data-partner-1")

    assert read_token(token_of(run)) == grant


def test_a_workflow_that_was_rendered_before_there_were_roles_gets_the_token_that_it_refers_to(
    run: WorkflowRun,
) -> None:
    text = json.dumps(run.manifest).replace('"key": "main"', '"key": "token"')
    RunDocument.objects.update(manifest=json.loads(text))

    [secret] = ExecutionOwner().prepare(WorkflowRun.objects.get()).secrets.values()

    assert set(secret) == {"token"}
    assert read_token(secret["token"]) == WorkflowGrant(run.owner_kind, run.owner_id, run.attempt, run.name)


def test_the_token_ends_with_the_runs_deadline(run: WorkflowRun) -> None:
    run.deadline_at = timezone.now() - timedelta(minutes=11)

    with pytest.raises(InvalidToken):
        read_token(token_of(run))


def test_a_run_without_a_deadline_has_a_token_that_ends(run: WorkflowRun, settings: Any) -> None:
    run.deadline_at = None
    settings.EXECUTION_DEADLINE_SECONDS = -3600

    with pytest.raises(InvalidToken):
        read_token(token_of(run))


def test_the_manifest_refers_to_the_secret_that_is_given(run: WorkflowRun) -> None:
    secrets = ExecutionOwner().prepare(run).secrets
    container = run.manifest["spec"]["templates"][1]["initContainers"][0]
    reference = container["env"][-1]["valueFrom"]["secretKeyRef"]

    assert reference["key"] in secrets[reference["name"]]


def test_the_config_maps_travel_with_the_run(run: WorkflowRun) -> None:
    assert ExecutionOwner().prepare(run).config_maps == run.config_maps


@pytest.mark.parametrize(
    ("reported", "succeeded"),
    [
        ({"state": "succeeded"}, True),
        ({"state": "failed", "reason": "callback"}, False),
        ({"state": "failed", "reason": "stopped"}, None),
        ({"state": "running"}, None),
    ],
)
def test_it_knows_how_its_workflow_ended_from_its_callback(run: WorkflowRun, reported: Any, succeeded: Any) -> None:
    Execution.objects.update(**reported)

    assert ExecutionOwner().has_succeeded(run) is succeeded


def test_a_workflow_that_was_tidied_away_after_its_callback_is_not_lost(run: WorkflowRun) -> None:
    run_observe(run_id=run.pk, status=WorkflowStatus(run.name, WorkflowPhase.RUNNING, version="1"))
    Execution.objects.update(state="succeeded")

    run_vanish(run_id=run.pk)

    run.refresh_from_db()
    assert (run.phase, run.reason) == ("succeeded", "")
    assert "it had reported success" in run.message
    assert Execution.objects.get().state == "succeeded"


def test_a_failure_that_is_explained_later_says_more(run: WorkflowRun) -> None:
    run_observe(run_id=run.pk, status=WorkflowStatus(run.name, WorkflowPhase.FAILED, "pod deleted", version="1"))

    run_end_explained(run_id=run.pk, explanation="Node n-1 was lost")

    execution = Execution.objects.get()
    assert (execution.state, execution.message) == ("failed", "pod deleted (Node n-1 was lost)")


def test_what_a_workflow_said_itself_is_not_explained_away(run: WorkflowRun) -> None:
    run_observe(run_id=run.pk, status=WorkflowStatus(run.name, WorkflowPhase.RUNNING, version="1"))
    execution_to_failed(execution_id=run.owner_id, document={"message": "no data"})
    run_observe(run_id=run.pk, status=WorkflowStatus(run.name, WorkflowPhase.FAILED, "exit code 1", version="2"))

    run_end_explained(run_id=run.pk, explanation="Node n-1 was lost")

    assert Execution.objects.get().message == "no data"
