"""A Workflow ends with its execution: what still runs of it after a callback is stopped after a grace."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from engines.base import WorkflowPhase, WorkflowStatus
from executions.models import Execution
from executions.outcomes import execution_to_failed, execution_to_running, execution_to_succeeded
from runs.models import WorkflowRun
from runs.services import run_observe
from tests.executions.test_outcomes import PRODUCTS

ENDS = [(execution_to_failed, {"message": "no data"}), (execution_to_succeeded, PRODUCTS)]


def begun(execution: Execution) -> WorkflowRun:
    run = WorkflowRun.objects.get(owner_id=execution.pk)
    return run_observe(run_id=run.pk, status=WorkflowStatus(run.name, WorkflowPhase.RUNNING, version="1"))


@pytest.mark.parametrize(("verb", "document"), ENDS)
def test_an_end_that_is_called_back_leaves_the_workflow_its_grace(
    training: Execution, settings: Any, verb: Any, document: Any
) -> None:
    settings.EXECUTION_END_GRACE_SECONDS = 7
    run = begun(training)

    before = timezone.now()
    verb(execution_id=training.pk, document=document)

    run.refresh_from_db()
    assert run.wind_up_at is not None
    assert before + timedelta(seconds=7) <= run.wind_up_at <= timezone.now() + timedelta(seconds=7)
    assert run.next_try_at == run.wind_up_at


def test_a_beginning_leaves_it_alone(training: Execution) -> None:
    run = begun(training)

    execution_to_running(execution_id=training.pk, document={})

    run.refresh_from_db()
    assert run.wind_up_at is None


def test_a_workflow_that_has_ended_is_not_wound_up(training: Execution) -> None:
    run = begun(training)
    run_observe(run_id=run.pk, status=WorkflowStatus(run.name, WorkflowPhase.FAILED, "x", version="2"))
    Execution.objects.update(state="running", reason="")

    execution_to_succeeded(execution_id=training.pk, document=PRODUCTS)

    run.refresh_from_db()
    assert run.wind_up_at is None


def test_a_workflow_that_is_stopped_for_its_end_does_not_change_how_the_execution_ended(training: Execution) -> None:
    run = begun(training)
    execution_to_failed(execution_id=training.pk, document={"message": "{{workflow.outputs.parameters.x}}"})
    WorkflowRun.objects.update(stop_requested_at=timezone.now(), message="It was stopped.")

    run_observe(run_id=run.pk, status=WorkflowStatus(run.name, WorkflowPhase.FAILED, "stopped", version="2"))

    execution = Execution.objects.get()
    assert (execution.reason, execution.message) == ("callback", "The Workflow failed without giving a reason.")
