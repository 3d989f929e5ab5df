from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from executions.models import Execution
from executions.owner import ExecutionOwner
from runs.models import WorkflowRun
from runs.owners import owner_of
from web.errors import InvalidToken
from web.grants import WorkflowGrant, read_token


@pytest.fixture
def run(training: Execution) -> WorkflowRun:
    return WorkflowRun.objects.get()


def token_of(run: WorkflowRun) -> str:
    return ExecutionOwner().prepare(run).secrets[f"{run.name}-callback"]["token"]


def test_executions_own_their_runs(run: WorkflowRun) -> None:
    assert isinstance(owner_of(run), ExecutionOwner)


def test_the_token_speaks_for_this_attempt_only(run: WorkflowRun) -> None:
    assert read_token(token_of(run)) == WorkflowGrant(run.owner_id, run.attempt, run.name)


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
