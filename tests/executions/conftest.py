"""Schemas, documents and files of executions for tests, and golden files."""

from __future__ import annotations

import copy
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from executions.models import Execution
from executions.services import execution_create
from schemas.models import Schema

GOLDEN = Path(__file__).parent / "golden"
# Text that users may type and manifests must survive.
AWKWARD = [
    'a "quoted" name',
    "two\nlines\tand \\ back",
    "größe 模型 🫀",
    "{{workflow.name}}",
    "{{=sprig.env('X')}}",
    "\u2028",
]
CENTRAL = {
    "{{workflow.parameters.platform_centralNodeLabelKey}}": "{{workflow.parameters.platform_centralNodeLabelValue}}"
}
MANIFEST = json.loads((Path(__file__).parent / "manifest.json").read_text())


def platform_data(*partners: str, patients: int = 2) -> dict[str, Any]:
    """Return `input_elements.platform_data` for these partners."""
    entry = {
        "system_path": None,
        "fields_definition": {"breast_cancer": {"sheet": {"age": "Age"}}},
        "sheets_definition": {"sheet": "Time point 1"},
    }
    return {
        "data_partners_patients": {
            name: {
                **entry,
                "patients": [
                    {"id": f"004-{number:06}", "clinical_data": {"breast_cancer": {"sheet": {"age": "41"}}}}
                    for number in range(1, patients + 1)
                ],
            }
            for name in partners
        }
    }


def engine(
    descriptor: str = "main-ai-engine", functionality: str = "training_from_scratch", model: bool = False
) -> Any:
    return {"descriptor": descriptor, "role_type": "*", "functionalities": [functionality], "ai_model": model}


def output_model(**changed: Any) -> dict[str, Any]:
    model = {"name": "init_plt_data", "description": "initial model trained on platform data"}
    return {"ai_model": {**model, **changed}}


TRAINING: dict[str, Any] = {
    "input_elements": {"platform_data": True},
    "ai_elements": {"ai_engines": [engine()]},
    "output_elements": {"ai_model": True, "evaluation_metrics": True},
}
INFERENCE: dict[str, Any] = {
    "input_elements": {"external_data": True, "report_metadata": True},
    "ai_elements": {"ai_engines": [engine(functionality="inferencing_from_pretrained_model", model=True)]},
    "output_elements": {"generic_file": True},
}
FEDERATED: dict[str, Any] = {
    "input_elements": {"platform_data": True, "federated_learning_configuration": True},
    "ai_elements": {"ai_engines": [engine()]},
    "output_elements": {"ai_model": True, "evaluation_metrics": True},
}


def elements(given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return a Schema's elements with every flag written out."""
    flags = {
        "input_elements": ("platform_data", "external_data", "report_metadata", "federated_learning_configuration"),
        "output_elements": ("ai_model", "evaluation_metrics", "generic_file"),
    }
    whole = {name: {flag: given[name].get(flag, False) for flag in names} for name, names in flags.items()}
    return {**whole, "ai_elements": given["ai_elements"]}


@pytest.fixture(autouse=True)
def _settings(settings: Any) -> None:
    settings.VALIDATE_WITH_MAAS = False
    settings.VALID_DATA_PARTNERS = ["data-partner-1", "data-partner-2", "data-partner-3"]


@pytest.fixture
def make_schema(db: None) -> Callable[..., Schema]:
    def make(name: str = "training", given: dict[str, Any] = TRAINING, **changed: Any) -> Schema:
        defaults = {"type": "individual", "implementation": "argo_workflows", "manifest": MANIFEST}
        values = {**defaults, **elements(given), **changed}
        return Schema.objects.create(name=name, **{**values, "manifest": placed(values["manifest"], given)})

    return make


def placed(manifest: Any, given: dict[str, Any]) -> Any:
    """Return a manifest whose training runs on the central node where no single data partner takes part."""
    inputs = given["input_elements"]
    if manifest and (not inputs.get("platform_data") or inputs.get("federated_learning_configuration")):
        manifest = copy.deepcopy(manifest)
        manifest["spec"]["templates"][1]["nodeSelector"] = CENTRAL
    return manifest


def training_document(**changed: Any) -> dict[str, Any]:
    return {
        "schema": "training",
        "input_elements": {"platform_data": platform_data("data-partner-1")},
        "ai_elements": {"ai_engines": [{"descriptor": "main-ai-engine", "version": 1}]},
        "output_elements": output_model(),
        **changed,
    }


def inference_document() -> dict[str, Any]:
    return {
        "schema": "inference",
        "ai_elements": {"ai_engines": [{"descriptor": "main-ai-engine", "version": 1, "ai_model": 1}]},
    }


def federated_document(patients: int = 2) -> dict[str, Any]:
    return training_document(
        schema="federated",
        input_elements={
            "platform_data": platform_data("data-partner-1", "data-partner-2", patients=patients),
            "federated_learning_configuration": {"number_iterations": 2},
        },
    )


def zip_bytes(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in (members or {"a.txt": "hello"}).items():
            archive.writestr(name, text)
    return buffer.getvalue()


def upload(content: bytes | str, name: str = "file") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content.encode() if isinstance(content, str) else content)


def content(file: Any) -> bytes:
    """Return what is stored in a file field."""
    with file.open("rb") as opened:
        return bytes(opened.read())


def body(response: Any) -> bytes:
    """Return what a response holds, whichever way it is sent."""
    return bytes(response.getvalue())


def training_files() -> dict[str, SimpleUploadedFile]:
    return {"main-ai-engine_version_user_vars": upload('{"epochs": 3}')}


def inference_files() -> dict[str, SimpleUploadedFile]:
    return {
        "external_data": upload(zip_bytes()),
        "report_metadata": upload('{"patient": "x"}'),
        **training_files(),
    }


@pytest.fixture
def training(make_schema: Callable[..., Schema]) -> Execution:
    """An execution of a Schema that trains, stored and queued."""
    make_schema()
    return execution_create(document=training_document(), files=training_files())


@pytest.fixture
def inference(make_schema: Callable[..., Schema]) -> Execution:
    make_schema("inference", INFERENCE)
    return execution_create(document=inference_document(), files=inference_files())


def multipart(document: Any, files: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the parts of a POST; a document that is text goes as it is."""
    return {"data": document if isinstance(document, str) else json.dumps(document), **(files or {})}


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Iterator[Callable[[str, Any], None]]:
    """Compare a value with a committed file, or rewrite the file when GOLDEN=write."""

    def compare(name: str, value: Any) -> None:
        path = GOLDEN / f"{name}.json"
        text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        if os.environ.get("GOLDEN") == "write":
            path.write_text(text)
        assert json.loads(path.read_text()) == value, f"{path.name} differs; `make golden` rewrites it"

    yield compare
