"""What every measurement needs of a running service: Schemas of a given Workflow, an AI engine, executions."""

from __future__ import annotations

import json
from typing import Any

import requests

from usage_scripts.local_service import LocalService


def schema_create(service: LocalService, name: str, spec: dict[str, Any]) -> None:
    """Store a Schema whose Workflow is `spec`, with no input and one AI engine that nothing of it uses."""
    manifest = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "bench-"},
        "spec": spec,
    }
    document = {
        "name": name, "type": "individual", "implementation": "argo_workflows", "description": "",
        "input_elements": {"platform_data": False, "external_data": False, "report_metadata": False,
                           "federated_learning_configuration": False},
        "ai_elements": {"ai_engines": [{"descriptor": "main-ai-engine", "role_type": "*",
                                        "functionalities": ["training_from_scratch"], "ai_model": False}]},
        "output_elements": {"ai_model": False, "evaluation_metrics": False, "generic_file": False},
    }  # fmt: skip
    answer = service.session().post(
        f"{service.url}/api/schemas/",
        data={"data": json.dumps(document)},
        files={"auxiliary_file": ("manifest.yaml", json.dumps(manifest))},
        timeout=60,
    )
    if not answer.ok:
        raise RuntimeError(answer.text)


def execution_create(session: requests.Session, service: LocalService, schema: str, version: int) -> dict[str, Any]:
    """Post an execution of a Schema made by `schema_create`; returns the answer's document."""
    document = {"schema": schema, "ai_elements": {"ai_engines": [{"descriptor": "main-ai-engine", "version": version}]}}
    answer = session.post(
        f"{service.url}/api/executions/",
        data={"data": json.dumps(document)},
        files={"main-ai-engine_version_user_vars": ("user_vars.json", b"{}")},
        timeout=60,
    )
    if not answer.ok:
        raise RuntimeError(answer.text)
    created: dict[str, Any] = answer.json()
    return created


def ai_engine_version_create(service: LocalService) -> int:
    """Register an AI engine with one version; returns the version's id."""
    session = service.session()
    engine = session.post(
        f"{service.url}/api/ai_engines/",
        json={"name": "bench", "container_name": "bench", "owner": "", "description": "", "data_type": ["tabular"],
              "role_type": "main", "data_considerations": "", "trl": "", "ethics": "", "caveats": "", "metrics": "",
              "license": ""},
        timeout=30,
    ).json()  # fmt: skip
    version = session.post(
        f"{service.url}/api/ai_engines_versions/",
        data={"data": json.dumps({"ai_engine": engine["id"], "container_version": "1", "description": "",
                                  "functionalities": ["training_from_scratch"], "explains": False,
                                  "memory_request": "64Mi"})},
        files={"default_user_vars_training_from_scratch": ("user_vars.json", b"{}")},
        timeout=30,
    )  # fmt: skip
    return int(version.json()["id"])
