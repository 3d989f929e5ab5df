"""Schema documents and manifests for tests, small enough to read."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from policy.rules import Policy
from schemas.manifest.checked import Answer, Question
from schemas.manifest.checking import check
from schemas.parameter_names import provided_parameter_names
from templates.shipped import shipped_schemas

CAPTURES = Path(__file__).parent.parent / "fixtures" / "captures"

DOCUMENT: dict[str, Any] = {
    "name": "training",
    "type": "individual",
    "implementation": "argo_workflows",
    "description": "Trains.",
    "input_elements": {
        "platform_data": True,
        "external_data": False,
        "report_metadata": False,
        "federated_learning_configuration": False,
    },
    "ai_elements": {
        "ai_engines": [
            {
                "descriptor": "main-ai-engine",
                "role_type": "*",
                "functionalities": ["training_from_scratch"],
                "ai_model": False,
            }
        ]
    },
    "output_elements": {"ai_model": True, "evaluation_metrics": False, "generic_file": False},
}

MANIFEST = """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  generateName: training-
spec:
  entrypoint: main
  serviceAccountName: argo-workflow
  templates:
  - name: main
    container:
      image: busybox
      args: ["{{workflow.parameters.execution_id}}"]
"""


# What an operator has said who runs these samples.
OPERATORS = Policy(
    allow_host_network=True,
    images=("x", "busybox", "busybox:*", "engine", "federated-learning-manager:*", "processor-resource-manager:*"),
    image_registries=("localhost:5000",),
    config_maps=("kafka", "remembered"),
    secrets=("azure",),
    artifact_endpoints=("https://example.org",),
    known=(
        ("platform_imageRegistry", "localhost:5000"),
        ("platform_centralNodeLabelKey", "nodeType"),
        ("platform_centralNodeLabelValue", "central"),
    ),
)


def document(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(DOCUMENT) | changes


def with_inputs(**changes: bool) -> dict[str, Any]:
    return document(input_elements=DOCUMENT["input_elements"] | changes)


def part(text: str | bytes = MANIFEST, name: str = "manifest.yaml") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text.encode() if isinstance(text, str) else text)


def form(data: Any = None, **files: Any) -> dict[str, Any]:
    """Return a multipart body: the document and its manifest, or the given files instead."""
    data = DOCUMENT if data is None else data
    return {"data": data if isinstance(data, str) else json.dumps(data)} | (files or {"auxiliary_file": part()})


def provided(of: dict[str, Any] = DOCUMENT) -> frozenset[str]:
    return frozenset(provided_parameter_names(of["input_elements"], of["ai_elements"], of["output_elements"]))


def checked(text: str, policy: Policy | None = None, of: dict[str, Any] = DOCUMENT) -> Answer:
    return check(Question(text.encode(), provided(of), policy or OPERATORS))


def manifest(templates: str, spec: str = "") -> str:
    """Return a Workflow of the given templates (YAML, from column 2) and further fields of its spec."""
    return (
        "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {generateName: t-}\n"
        f"spec:\n  entrypoint: main\n{spec}  templates:\n{templates}"
    )


def shipped(name: str) -> tuple[dict[str, Any], str]:
    schema = next(schema for schema in shipped_schemas() if schema.name == name)
    return schema.document, schema.manifest_yaml
