"""Executions whose Workflows wait to be attacked, with the very tokens that their containers get."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
import yaml
from rest_framework.test import APIClient

from executions.models import Execution
from executions.owner import ExecutionOwner
from executions.services import execution_create
from runs.models import WorkflowRun
from schemas.models import Schema
from templates.shipped import shipped_schemas
from tests.executions.conftest import (
    FEDERATED,
    MANIFEST,
    TRAINING,
    elements,
    federated_document,
    training_document,
    training_files,
)

ONE, OTHER = "data-partner-1", "data-partner-2"
CLIENT, OTHERS_CLIENT, NOBODYS_CLIENT = f"client.{ONE}", f"client.{OTHER}", "client"
SEPARATOR = "///MESSAGE_SEP///"
_SHIPPED = {schema.name: yaml.safe_load(schema.manifest_yaml) for schema in shipped_schemas()}


@dataclass
class Attacked:
    """An execution under attack: a client for each token of its Secret, by key."""

    execution: Execution
    run: WorkflowRun
    tokens: Mapping[str, str]
    channel_id: str = ""
    clients: dict[str, APIClient] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clients = {key: bearer(token) for key, token in self.tokens.items()}

    def call(self, key: str, method: str, rest: str, document: Any = None) -> Any:
        """Send a request about this execution with one of its tokens."""
        url = f"/api/executions/{self.execution.pk}/{rest}"
        return self.clients[key].generic(method, url, json.dumps(document or {}), content_type="application/json")

    def topic(self, name: str) -> str:
        return f"/api/channels/{quote(self.channel_id, safe='')}/{name}/messages/"

    def model_url(self, content: bytes) -> str:
        return f"/api/channels/{quote(self.channel_id, safe='')}/models/{hashlib.sha256(content).hexdigest()}/"

    def publish(self, token: str, topic: str, *, partner: str = "", key: str | None = None, value: bytes = b"v") -> Any:
        """Publish a message as the client of a partner does, or as the server without one."""
        name = f"{self.channel_id}{SEPARATOR}{partner}" if partner else self.channel_id
        headers = {
            "Message-Id": uuid4().hex,
            "Message-Key": quote(name if key is None else key, safe=""),
            "Message-Headers": quote("{}"),
            "Message-Null": "false",
        }
        return self.clients[token].post(
            self.topic(topic), value, content_type="application/octet-stream", headers=headers
        )

    def store(self, token: str, content: bytes) -> Any:
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        headers = {"Content-Digest": f"sha-256=:{digest}:"}
        url = self.model_url(content)
        return self.clients[token].put(url, content, content_type="application/octet-stream", headers=headers)

    def heads(self, token: str, topic: str) -> Any:
        return self.clients[token].get(self.topic(topic))


def bearer(token: str) -> APIClient:
    return APIClient(headers={"authorization": f"Bearer {token}"})


def schema_of(name: str, given: dict[str, Any], manifest: dict[str, Any]) -> Schema:
    kind = {"type": "individual", "implementation": "argo_workflows"}
    return Schema.objects.create(name=name, **kind, **elements(given), manifest=manifest)


def attacked(execution: Execution) -> Attacked:
    run = WorkflowRun.objects.get(owner_id=execution.pk)
    attachments = ExecutionOwner().prepare(run)
    tokens = {key: text for key, text in attachments.secrets[f"{run.name}-callback"].items() if text[:3] == "wf."}
    given = run.manifest["spec"]["arguments"]["parameters"]
    channel = next((each["value"] for each in given if each["name"] == "execution_communicationAdapterId"), "")
    return Attacked(execution, run, tokens, channel)


def federated_execution(**options: Any) -> Execution:
    document = federated_document()
    document["input_elements"]["federated_learning_configuration"].update(options)
    return execution_create(document=document, files=training_files())


@pytest.fixture
def make_federated(db: None, settings: Any) -> Iterator[Callable[..., Attacked]]:
    """Return a function that makes a federated training of two partners, whose channel is open."""
    settings.VALIDATE_WITH_MAAS = False
    schema_of("federated", FEDERATED, _SHIPPED["training-from-scratch-federated-learning"])
    yield lambda **options: attacked(federated_execution(**options))


@pytest.fixture
def federated(make_federated: Callable[..., Attacked]) -> Attacked:
    return make_federated()


@pytest.fixture
def individual(db: None, settings: Any) -> Attacked:
    """A training at one partner."""
    settings.VALIDATE_WITH_MAAS = False
    if not Schema.objects.filter(name="training").exists():
        schema_of("training", TRAINING, MANIFEST)
    return attacked(execution_create(document=training_document(), files=training_files()))
