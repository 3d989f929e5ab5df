"""Whether a training's model can be stored is decided at the POST, never after the training."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from executions import posting
from executions.attempts import execution_retry
from executions.models import Execution
from executions.outcomes import execution_to_failed
from executions.services import execution_create
from runs.models import WorkflowRun
from tests.executions.conftest import (
    engine,
    multipart,
    platform_data,
    training_document,
    training_files,
)
from tests.executions.test_registry import RegistryInMemory
from web.errors import Conflict, InvalidInput

PATIENTS = {"data-partner-1": {"004-000001", "004-000002"}}
NAME = training_document()["output_elements"]["ai_model"]["name"]
FURTHER: dict[str, Any] = {
    "input_elements": {"platform_data": True},
    "ai_elements": {"ai_engines": [engine(model=True)]},
    "output_elements": {"ai_model": True, "evaluation_metrics": True},
}


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, settings: Any) -> RegistryInMemory:
    double = RegistryInMemory()
    settings.VALIDATE_WITH_MAAS = True
    monkeypatch.setattr(posting, "get_registry", lambda: double)
    return double


def create(document: Any = None, *, start: bool = True) -> Execution:
    return execution_create(document=document or training_document(), files=training_files(), start=start)


def refused(document: Any = None) -> str:
    with pytest.raises(InvalidInput) as caught:
        create(document)
    [fault] = caught.value.faults
    assert fault.pointer == "/data/output_elements/ai_model/name"
    return fault.detail


def test_a_model_that_the_registry_has_is_not_trained_again(make_schema: Any, registry: RegistryInMemory) -> None:
    make_schema()
    registry.trained = {8: (NAME, 1, PATIENTS)}

    assert "is the name of an AI model (8 in the model registry" in refused()
    assert not Execution.objects.exists()


def test_a_model_is_not_retrained_under_its_own_name(make_schema: Any, registry: RegistryInMemory) -> None:
    make_schema(given=FURTHER)
    registry.trained = {1: (NAME, 1, PATIENTS)}
    document = training_document()
    document["ai_elements"]["ai_engines"][0]["ai_model"] = 1

    assert "is the name of the AI model that this execution starts from (1 in the model registry" in refused(document)


@pytest.mark.parametrize(
    "key", [("other", 1, PATIENTS), (NAME, 2, PATIENTS), (NAME, 1, {"data-partner-1": {"004-000001"}}), (NAME, 1, {})]
)
def test_a_model_that_differs_in_anything_is_trained(
    make_schema: Any, registry: RegistryInMemory, key: tuple[str, int, dict[str, set[str]]]
) -> None:
    make_schema()
    registry.trained = {8: key}

    assert create().pk


def test_a_dry_run_says_so_too(api: APIClient, make_schema: Any, registry: RegistryInMemory) -> None:
    make_schema()
    registry.trained = {8: (NAME, 1, PATIENTS)}

    response = api.post("/api/executions/?dry_run=true", multipart(training_document(), training_files()))

    assert response.status_code == 400


def test_a_second_training_is_refused_while_the_first_is_under_way(
    make_schema: Any, registry: RegistryInMemory
) -> None:
    make_schema()
    make_schema("again")
    first = create()

    assert f"execution {first.pk} trains" in refused(training_document(schema="again"))
    assert WorkflowRun.objects.count() == 1


def test_one_that_comes_in_between_is_seen_in_the_transaction(
    make_schema: Any, registry: RegistryInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_schema()
    find_model = registry.find_model

    def meanwhile(*key: Any) -> int | None:
        monkeypatch.setattr(registry, "find_model", find_model)
        create()
        return None

    monkeypatch.setattr(registry, "find_model", meanwhile)

    assert "trains with the same AI engine version" in refused()


def test_an_other_training_under_way_keeps_nobody(make_schema: Any, registry: RegistryInMemory) -> None:
    make_schema()
    create()
    others = {"input_elements": {"platform_data": platform_data("data-partner-1", patients=3)}}

    assert create(training_document(**others)).pk


def test_one_that_is_only_stored_trains_nothing(make_schema: Any, registry: RegistryInMemory) -> None:
    make_schema()
    create()
    registry.trained = {8: (NAME, 1, PATIENTS)}

    assert create(start=False).pk


def test_one_that_was_only_stored_keeps_nobody(make_schema: Any, registry: RegistryInMemory) -> None:
    make_schema()
    create(start=False)

    assert create().pk


def test_one_that_has_failed_keeps_nobody_and_is_not_tried_again_meanwhile(
    make_schema: Any, registry: RegistryInMemory
) -> None:
    make_schema()
    first = create()
    execution_to_failed(execution_id=first.pk, document={"message": "x"})
    second = create()
    WorkflowRun.objects.filter(owner_id=first.pk).update(workflow_ended_at="2026-01-01T00:00:00Z")

    with pytest.raises(Conflict, match=f"Execution {second.pk} has not ended"):
        execution_retry(execution_id=first.pk)

    execution_to_failed(execution_id=second.pk, document={"message": "x"})
    assert execution_retry(execution_id=first.pk).attempt == 2


def test_without_a_registry_nothing_is_held_back(make_schema: Any, settings: Any) -> None:
    make_schema()

    assert len({create().pk, create().pk}) == 2
