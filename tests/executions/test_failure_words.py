"""What the message of a failed execution says of the container that failed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engines.base import LogLine, Submission, WorkflowPhase
from engines.recording import RecordingEngine
from executions.models import Execution
from executions.outcomes import execution_to_failed
from executions.progress import role_to_failed
from executions.services import execution_create
from runs import engines
from runs.models import WorkflowRun
from runs.services import run_observe
from tests.executions.conftest import FEDERATED, federated_document, training_files

POD = {"id": "p", "name": "p", "displayName": "train", "type": "Pod", "phase": "Running", "children": ["p.ai"]}
AI = {"id": "p.ai", "name": "p.ai", "displayName": "ai", "type": "Container", "phase": "Failed", "boundaryID": "p"}
NODES = {"p": POD, "p.ai": {**AI, "message": "Error (exit code 3)"}}


@pytest.fixture
def cluster(settings: Any) -> Any:
    settings.ENGINES = {"double": {"class": "engines.recording.RecordingEngine", "options": {}}}
    settings.ENGINE = "double"
    engines.forget_engines()
    yield engines.get_engine("double")
    engines.forget_engines()


def begun(cluster: RecordingEngine) -> WorkflowRun:
    """Return the run of the only execution, whose AI engine has failed in a pod that goes on."""
    run = WorkflowRun.objects.get()
    cluster.submit(Submission(run.name, run.manifest))
    status = replace(cluster.get(run.name), nodes=NODES)
    cluster._state.statuses[run.name] = status
    cluster._state.logs[run.name] = [LogLine("p", "ai", "stderr", "no GPU", "2026-01-01T00:00:00Z")]
    return run_observe(run_id=run.pk, status=status)


SAID = "Step train, container ai (exit code 3), wrote last: no GPU"


def test_a_failure_that_is_called_back_says_step_container_code_and_last_line(cluster: Any, training: Any) -> None:
    begun(cluster)

    execution_to_failed(execution_id=training.pk, document={"message": "the AI engine ended before it was ready"})

    assert Execution.objects.get().message == f"the AI engine ended before it was ready. {SAID}"


# What exit handlers pass on where no container left a word: the default of the field's manifests, a default of the
# manifest's own, and the tag as Argo leaves it.
SAY_NOTHING = ["Unexpected error", "no reason given", "{{workflow.outputs.parameters.main-error-message}}"]
OWN_DEFAULT = {
    "name": "report",
    "outputs": {"parameters": [{"name": "message", "valueFrom": {"path": "/e", "default": "no reason given"}}]},
}


def give_own_default() -> None:
    document = WorkflowRun.objects.get().document
    document.manifest["spec"]["templates"].append(OWN_DEFAULT)
    document.save()


@pytest.mark.parametrize("message", SAY_NOTHING)
def test_where_nobody_could_say_why_the_engines_words_stand_alone(cluster: Any, training: Any, message: str) -> None:
    run = begun(cluster)
    give_own_default()
    lost = {"p": {**POD, "phase": "Error", "message": "pod deleted", "children": []}}
    cluster._state.statuses[run.name] = replace(cluster.get(run.name), nodes=lost)
    cluster._state.logs.clear()
    cluster.explanations[run.name] = "p: Evicted: The node was low on resource: memory."

    execution_to_failed(execution_id=training.pk, document={"message": message})

    assert Execution.objects.get().message == "train: pod deleted (p: Evicted: The node was low on resource: memory.)"


def test_the_nodes_own_words_come_before_those_of_its_container(cluster: Any, training: Any) -> None:
    run = begun(cluster)
    words = 'init: Error (exit code 64): failed to load artifact "in": open /argo/inputs: permission denied'
    nodes = {"p": {**POD, "phase": "Error", "message": words, "children": []}}
    cluster._state.statuses[run.name] = replace(cluster.get(run.name), nodes=nodes)
    cluster._state.logs.clear()

    execution_to_failed(execution_id=training.pk, document={"message": "Unexpected error"})

    assert Execution.objects.get().message.startswith(f"train: {words}")


@pytest.mark.parametrize("message", SAY_NOTHING)
def test_where_the_engine_does_not_know_it_yet_its_last_word_stands_in(
    cluster: Any, training: Any, message: str
) -> None:
    run = begun(cluster)
    give_own_default()
    cluster._state.statuses[run.name] = replace(cluster.get(run.name), nodes={})
    execution_to_failed(execution_id=training.pk, document={"message": message})

    ended = replace(cluster.get(run.name), phase=WorkflowPhase.ERROR, message="no node is left", version="99")
    run_observe(run_id=run.pk, status=ended)

    assert Execution.objects.get().message.startswith("no node is left")


def test_a_role_that_fails_says_it_too(cluster: Any, make_schema: Any) -> None:
    make_schema("federated", FEDERATED)
    federated = execution_create(document=federated_document(), files=training_files())
    begun(cluster)

    role_to_failed(execution_id=federated.pk, partner="data-partner-1", document={"message": "it died"})

    assert Execution.objects.get().message == f"data-partner-1: it died. {SAID}"


def test_an_engine_that_is_away_keeps_no_failure_from_being_told(cluster: Any, training: Any) -> None:
    begun(cluster)
    cluster.unavailable = True

    execution_to_failed(execution_id=training.pk, document={"message": "no data"})

    assert Execution.objects.get().message == "no data"


def test_a_workflow_that_failed_without_a_callback_keeps_the_engines_words(cluster: Any, training: Any) -> None:
    run = begun(cluster)
    run_observe(run_id=run.pk, status=replace(cluster.get(run.name), phase=WorkflowPhase.FAILED, version="99"))

    assert "ai: Error (exit code 3)" in Execution.objects.get().message
