"""The registry is asked through its client's interface; the double answers from memory as a registry would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from executions import posting, registry
from executions.registry import chosen_engines_checked, outcome_faults
from executions.services import execution_create
from registry.client import AIEngineVersionInfo, AIModelInfo, RegistryNotFound, RegistryUnavailable
from schemas.models import Schema
from tests.executions.conftest import engine, inference_document, inference_files, training_document, training_files
from tests.executions.test_validation import facts
from web.errors import InvalidInput

VERSION = AIEngineVersionInfo(
    id=1,
    container_version="1.2.0",
    container_name="breast-density",
    role_type="classifier",
    max_iteration_time=60,
    memory_request="1Gi",
    memory_limit="2Gi",
    cpu_request="500m",
    cpu_limit="1.5",
    functionalities=("training_from_scratch", "inferencing_from_pretrained_model"),
    ai_engine_id=1,
)


class RegistryInMemory:
    """Knows the version 1 and its model 1; `trained` holds what was trained: name, version and patients of each."""

    def __init__(self, **changed: Any) -> None:
        self.versions = {1: replace(VERSION, **changed)}
        self.trained: dict[int, tuple[str, int, dict[str, set[str]]]] = {}
        self.model_version = 1

    def get_version(self, version_id: int) -> AIEngineVersionInfo:
        if version_id not in self.versions:
            raise RegistryNotFound("ai_engines_versions", version_id)
        return self.versions[version_id]

    def get_model(self, model_id: int) -> AIModelInfo:
        if model_id != 1:
            raise RegistryNotFound("ai_models", model_id)
        return AIModelInfo(1, 9, self.model_version)

    def find_model(self, name: str, version_id: int, patients: Any) -> int | None:
        wanted = (name, version_id, {partner: set(ids) for partner, ids in patients.items()})
        return next((model_id for model_id, key in self.trained.items() if key == wanted), None)

    def has_model(self, model_id: int) -> bool:
        return model_id == 1

    has_evaluation_metric = has_generic_file = has_model


class SilentRegistry(RegistryInMemory):
    def get_version(self, version_id: int) -> AIEngineVersionInfo:
        raise RegistryUnavailable


@pytest.fixture
def registry_in_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    def use(double: Any) -> None:
        monkeypatch.setattr(posting, "get_registry", lambda: double)

    return use


def checked(chosen: dict[str, Any], double: Any, **slot: Any) -> Any:
    given = {"input_elements": {}, "ai_elements": {"ai_engines": [{**engine(), **slot}]}, "output_elements": {}}
    return chosen_engines_checked([{"descriptor": "main-ai-engine", **chosen}], facts(given), double)


def test_the_registrys_answer_becomes_the_snapshot() -> None:
    [snapshot], faults = checked({"version": 1, "ai_model": 1}, RegistryInMemory())

    assert faults == []
    assert snapshot.container_name == "breast-density"
    assert snapshot.max_iteration_time == 60
    assert snapshot.cpu_limit == "1.5"
    assert snapshot.download_resume_retries == 9


def test_without_a_registry_defaults_stand_in() -> None:
    [snapshot], faults = checked({"version": 77}, None)

    assert faults == []
    assert snapshot.container_name == snapshot.container_version == "dummy"


def test_a_version_and_a_model_that_do_not_exist_are_both_named() -> None:
    _, faults = checked({"version": 2, "ai_model": 2}, RegistryInMemory())

    assert [fault.pointer for fault in faults] == [
        "/data/ai_elements/ai_engines/0/ai_model",
        "/data/ai_elements/ai_engines/0/version",
    ]


@pytest.mark.parametrize(
    "slot", [{"role_type": "explainer"}, {"functionalities": ["training_from_scratch", "merging_models"]}]
)
def test_a_version_that_does_not_fit_the_schema_is_refused(slot: dict[str, Any]) -> None:
    _, faults = checked({"version": 1}, RegistryInMemory(), **slot)

    assert [fault.pointer for fault in faults] == ["/data/ai_elements/ai_engines/0/version"]


def test_the_role_type_fits_when_it_is_the_same() -> None:
    assert checked({"version": 1}, RegistryInMemory(), role_type="classifier")[1] == []


@pytest.mark.parametrize(
    "changed",
    [
        {"memory_limit": '1Gi"},"securityContext":{"privileged":true'},
        {"cpu_request": "{{workflow.name}}"},
        {"container_name": "a:b"},
        {"container_version": "1 && rm"},
    ],
)
def test_values_that_would_say_more_than_they_should_are_refused(changed: dict[str, str]) -> None:
    assert checked({"version": 1}, RegistryInMemory(**changed))[1]


@pytest.mark.parametrize(
    ("engine_id", "words"), [(1, []), (2, ["was trained by another AI engine, explainer 1.2.0"])], ids=["same", "other"]
)
def test_a_model_is_one_of_the_versions_own_ai_engine(engine_id: int, words: list[str]) -> None:
    double = RegistryInMemory()
    double.versions[2] = replace(VERSION, id=2, container_name="explainer", ai_engine_id=engine_id)
    double.model_version = 2

    _, faults = checked({"version": 1, "ai_model": 1}, double, ai_model=True)

    assert [fault.pointer for fault in faults] == ["/data/ai_elements/ai_engines/0/ai_model"] * len(words)
    assert [fault.detail.partition(";")[0] for fault in faults] == words


def test_a_model_whose_version_is_gone_is_refused() -> None:
    double = RegistryInMemory()
    double.model_version = 5

    _, faults = checked({"version": 1, "ai_model": 1}, double, ai_model=True)

    assert [fault.pointer for fault in faults] == ["/data/ai_elements/ai_engines/0/ai_model"]


def test_products_that_are_not_there_are_named() -> None:
    faults = outcome_faults(2, [1, 3], 1, RegistryInMemory())  # type: ignore[arg-type]

    assert [fault.pointer for fault in faults] == [
        "/data/ai_model/ai_model",
        "/data/evaluation_metrics/1/evaluation_metric",
    ]


def test_settings_say_whether_to_ask(settings: Any) -> None:
    assert registry.get_registry() is None
    settings.VALIDATE_WITH_MAAS = True
    assert registry.get_registry() is not None


def test_an_execution_keeps_what_the_registry_said(make_schema: Any, registry_in_memory: Any) -> None:
    make_schema()
    registry_in_memory(RegistryInMemory())

    execution = execution_create(document=training_document(), files=training_files())

    assert execution.ai_engines.get().snapshot["container_name"] == "breast-density"


def test_faults_of_document_and_registry_come_together(make_schema: Any, registry_in_memory: Any) -> None:
    make_schema()
    registry_in_memory(RegistryInMemory())
    document = training_document(output_elements={})
    document["ai_elements"]["ai_engines"][0]["version"] = 5

    with pytest.raises(InvalidInput) as caught:
        execution_create(document=document, files=training_files())

    assert {fault.pointer for fault in caught.value.faults} == {
        "/data/output_elements/ai_model",
        "/data/ai_elements/ai_engines/0/version",
    }


def test_a_silent_registry_stores_nothing(make_schema: Any, registry_in_memory: Any) -> None:
    schema = make_schema()
    registry_in_memory(SilentRegistry())

    with pytest.raises(RegistryUnavailable):
        execution_create(document=training_document(), files=training_files())

    assert not schema.executions.exists()


def test_a_schema_deleted_while_the_registry_was_asked_is_a_fault(
    make_schema: Any, registry_in_memory: Any, settings: Any
) -> None:
    make_schema("inference", _inference())

    class Meanwhile(RegistryInMemory):
        def get_version(self, version_id: int) -> AIEngineVersionInfo:
            Schema.objects.all().delete()
            return super().get_version(version_id)

    registry_in_memory(Meanwhile())
    with pytest.raises(InvalidInput) as caught:
        execution_create(document=inference_document(), files=inference_files())

    assert [fault.pointer for fault in caught.value.faults] == ["/data/schema"]
    assert not any(path.is_file() for path in settings.MEDIA_ROOT.rglob("*"))


def _inference() -> dict[str, Any]:
    return {
        "input_elements": {"external_data": True, "report_metadata": True},
        "ai_elements": {"ai_engines": [engine(functionality="inferencing_from_pretrained_model", model=True)]},
        "output_elements": {"generic_file": True},
    }
