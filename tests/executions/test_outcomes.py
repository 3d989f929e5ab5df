from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from engines.base import WorkflowPhase, WorkflowStatus
from executions import outcomes
from executions.models import Execution
from executions.outcomes import execution_to_failed, execution_to_running, execution_to_succeeded, run_ended
from executions.services import execution_create, execution_stop
from executions.transitions import TRANSITIONS, Move, State
from runs.models import RunPhase, RunReason, WorkflowRun
from runs.services import run_observe, run_stop
from tests.executions.conftest import INFERENCE, inference_document, inference_files
from tests.executions.test_registry import RegistryInMemory
from web.errors import InvalidInput, NotAllowedInState, NotFound

PRODUCTS: dict[str, Any] = {
    "ai_model": {"ai_model": 1},
    "evaluation_metrics": [{"evaluation_metric": 2}, {"evaluation_metric": 3}],
}
REQUESTS = {
    State.RUNNING: (execution_to_running, {}),
    State.FAILED: (execution_to_failed, {"message": "no data for this patient"}),
    State.SUCCEEDED: (execution_to_succeeded, PRODUCTS),
}


def ask(execution: Execution, wanted: State) -> Execution:
    verb, document = REQUESTS[wanted]
    return verb(execution_id=execution.pk, document=document)


@pytest.mark.parametrize(("state", "wanted"), list(itertools.product(State, REQUESTS)))
def test_the_table_is_followed(training: Execution, state: State, wanted: State) -> None:
    if state is not State.PENDING:
        ask(training, state)
    training.refresh_from_db()
    before = training.updated_at

    if TRANSITIONS[state, wanted] is Move.REFUSE:
        with pytest.raises(NotAllowedInState):
            ask(training, wanted)
    else:
        ask(training, wanted)

    training.refresh_from_db()
    changed = TRANSITIONS[state, wanted] is Move.CHANGE
    assert training.state == (wanted if changed else state)
    assert (training.updated_at != before) == changed


@pytest.mark.django_db(transaction=True)
def test_of_two_ends_at_once_one_wins_and_the_other_is_told(training: Execution) -> None:
    together = Barrier(2)

    def end(wanted: State) -> State | None:
        together.wait()
        try:
            return State(ask(training, wanted).state)
        except NotAllowedInState:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(end, (State.FAILED, State.SUCCEEDED)))

    training.refresh_from_db()
    assert sorted(ends, key=str) == sorted([None, State(training.state)], key=str)


def test_a_failure_keeps_the_workflows_words(training: Execution) -> None:
    execution = ask(training, State.FAILED)

    assert (execution.reason, execution.message) == ("callback", "no data for this patient")


def test_a_second_failure_does_not_replace_the_first(training: Execution) -> None:
    ask(training, State.FAILED)

    again = execution_to_failed(execution_id=training.pk, document={"message": "another"})

    assert again.message == "no data for this patient"


def test_endless_messages_are_cut(training: Execution) -> None:
    execution = execution_to_failed(execution_id=training.pk, document={"message": "x" * 50_000})

    assert len(execution.message) < 21_000


def test_products_are_kept(training: Execution) -> None:
    execution = ask(training, State.SUCCEEDED)

    assert (execution.ai_model, execution.evaluation_metrics, execution.generic_file) == (1, [2, 3], None)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"ai_model": None}, "/data/ai_model"),
        ({"ai_model": {"ai_model": "1"}}, "/data/ai_model/ai_model"),
        ({"ai_model": {"ai_model": 0}}, "/data/ai_model/ai_model"),
        ({"generic_file": {"generic_file": 1}}, "/data/generic_file"),
        ({"evaluation_metrics": {"evaluation_metric": 1}}, "/data/evaluation_metrics"),
        ({"evaluation_metrics": [{"evaluation_metric": 1}] * 2}, "/data/evaluation_metrics"),
        ({"evaluation_metrics": [{}]}, "/data/evaluation_metrics/0/evaluation_metric"),
    ],
)
def test_success_holds_exactly_what_the_schema_produces(training: Execution, change: Any, pointer: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        execution_to_succeeded(execution_id=training.pk, document={**PRODUCTS, **change})

    assert [fault.pointer for fault in caught.value.faults] == [pointer]


def test_success_of_inference_is_a_file(inference: Execution) -> None:
    execution = execution_to_succeeded(execution_id=inference.pk, document={"generic_file": {"generic_file": 4}})

    assert (execution.ai_model, execution.evaluation_metrics, execution.generic_file) == (None, None, 4)


def test_a_missing_product_leaves_the_state_alone(training: Execution, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "get_registry", RegistryInMemory)

    with pytest.raises(InvalidInput) as caught:
        ask(training, State.SUCCEEDED)

    training.refresh_from_db()
    assert training.state == State.PENDING
    assert len(caught.value.faults) == 2


@pytest.mark.parametrize("document", [{}, {"message": 3}, {"message": "x", "more": 1}])
def test_a_failure_has_a_message_and_no_more(training: Execution, document: Any) -> None:
    with pytest.raises(InvalidInput):
        execution_to_failed(execution_id=training.pk, document=document)


def test_running_takes_no_fields(training: Execution) -> None:
    with pytest.raises(InvalidInput):
        execution_to_running(execution_id=training.pk, document={"message": "x"})


@pytest.mark.parametrize("wanted", REQUESTS)
def test_what_is_not_there_has_no_state(db: None, wanted: State) -> None:
    with pytest.raises(NotFound):
        ask(Execution(pk=1), wanted)


def observed(phase: WorkflowPhase, message: str = "", **nodes: Any) -> WorkflowRun:
    run = WorkflowRun.objects.get()
    status = WorkflowStatus(name=run.name, phase=phase, message=message, nodes=nodes)
    return run_observe(run_id=run.pk, status=status)


@pytest.mark.parametrize("phase", [WorkflowPhase.FAILED, WorkflowPhase.ERROR])
def test_a_workflow_that_failed_in_silence_fails_its_execution(training: Execution, phase: WorkflowPhase) -> None:
    observed(phase, "child 'train' failed")

    training.refresh_from_db()
    assert (training.state, training.reason) == (State.FAILED, "engine")
    assert "child 'train' failed" in training.message


def test_a_workflow_that_succeeded_in_silence_fails_its_execution(training: Execution) -> None:
    observed(WorkflowPhase.SUCCEEDED)

    training.refresh_from_db()
    assert (training.state, training.reason) == (State.FAILED, "engine")
    assert "without reporting" in training.message


@pytest.mark.parametrize("phase", [WorkflowPhase.FAILED, WorkflowPhase.SUCCEEDED])
@pytest.mark.parametrize("wanted", [State.SUCCEEDED, State.FAILED])
def test_an_execution_that_called_back_keeps_its_outcome(
    training: Execution, wanted: State, phase: WorkflowPhase
) -> None:
    ask(training, wanted)
    training.refresh_from_db()

    observed(phase, "whatever")

    before = (training.state, training.reason, training.message, training.updated_at)
    training.refresh_from_db()
    assert (training.state, training.reason, training.message, training.updated_at) == before


def test_a_running_workflow_does_not_move_the_execution(training: Execution) -> None:
    observed(WorkflowPhase.RUNNING)

    training.refresh_from_db()
    assert training.state == State.PENDING


def test_a_run_stopped_elsewhere_stops_its_execution(training: Execution) -> None:
    run_stop(run_id=WorkflowRun.objects.get().pk)

    training.refresh_from_db()
    assert (training.state, training.reason) == (State.FAILED, "stopped")


@pytest.mark.parametrize(
    ("phase", "reason", "expected"),
    [
        (RunPhase.FAILED, RunReason.DEADLINE, "deadline"),
        (RunPhase.LOST, RunReason.LOST, "lost"),
        (RunPhase.STOPPED, RunReason.STOPPED, "stopped"),
        (RunPhase.FAILED, RunReason.NONE, "engine"),
    ],
)
def test_each_end_of_a_run_has_its_reason(
    training: Execution, phase: RunPhase, reason: RunReason, expected: str
) -> None:
    run = WorkflowRun.objects.get()
    run.phase, run.reason, run.message = phase, reason, ""

    run_ended(run)

    training.refresh_from_db()
    assert (training.state, training.reason) == (State.FAILED, expected)
    assert training.message


UNRESOLVED = {"message": "{{workflow.outputs.parameters.main-error-message}}"}


def test_a_tag_that_argo_left_as_it_is_is_no_message(training: Execution) -> None:
    execution_to_failed(execution_id=training.pk, document=UNRESOLVED)

    training.refresh_from_db()
    assert (training.state, training.reason) == (State.FAILED, "callback")
    assert training.message == "The Workflow failed without giving a reason."


def test_the_engine_says_why_where_the_callback_does_not_know(training: Execution) -> None:
    execution_to_failed(execution_id=training.pk, document=UNRESOLVED)

    observed(WorkflowPhase.FAILED, "no node has room for it")

    training.refresh_from_db()
    assert (training.state, training.reason, training.message) == (State.FAILED, "engine", "no node has room for it")


def test_a_callback_that_knows_why_is_not_overruled(training: Execution) -> None:
    execution_to_failed(execution_id=training.pk, document={"message": "cannot read {{this}}"})

    observed(WorkflowPhase.FAILED, "main: Error (exit code 1)")

    training.refresh_from_db()
    assert (training.reason, training.message) == ("callback", "cannot read {{this}}")


def test_an_earlier_attempt_says_nothing_any_more(training: Execution) -> None:
    Execution.objects.update(attempt=2)

    observed(WorkflowPhase.FAILED)

    training.refresh_from_db()
    assert training.state == State.PENDING


def test_the_end_of_a_run_without_its_execution_is_nobodys(training: Execution) -> None:
    run = WorkflowRun.objects.get()
    Execution.objects.all().delete()
    run.phase = RunPhase.FAILED

    run_ended(run)


def test_a_stop_that_came_first_is_told_to_a_late_success(make_schema: Any) -> None:
    make_schema("inference", INFERENCE)
    execution = execution_create(document=inference_document(), files=inference_files())
    execution_stop(execution_id=execution.pk)

    with pytest.raises(NotAllowedInState, match="failed"):
        execution_to_succeeded(execution_id=execution.pk, document={"generic_file": {"generic_file": 4}})
