"""The service as it is served, with channels made on demand and faults on the way out.

POST /tests/channels answers the id of a new channel and a token of its execution's Workflow. POST /tests/faults sets
what goes wrong next: `lost_answers`, how many answers to POSTs are lost after the work is done, and `breaks`, after how
many bytes each of the next contents breaks off.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from orchestrator_api.wsgi import application as service

# Only after the application, which sets Django up.
from federated.channels import channel_id  # isort: skip
from federated.services import ChannelSpec, channel_open  # isort: skip
from orchestrator_api.server.connections import EXTENSION  # isort: skip
from orchestrator_api.server.shell import Shell  # isort: skip
from runs.services import run_create  # isort: skip
from web.grants import WorkflowGrant, issue_token  # isort: skip

_Environ = dict[str, Any]
faults: dict[str, Any] = {"lost_answers": 0, "breaks": []}
_MANIFEST = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "spec": {"entrypoint": "main"}}


def with_tools(environ: _Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if not path.startswith("/tests/"):
        return service(environ, start_response)
    given = json.loads(environ["wsgi.input"].read() or b"{}")
    answer = json.dumps(_make_channel(**given) if path == "/tests/channels" else faults.update(given)).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]


shell = Shell(with_tools)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Serve a request, and break the connection where a fault says so."""
    connection = scope["extensions"][EXTENSION]
    left = None
    if scope["path"].endswith("/content/") and scope["method"] == "GET" and faults["breaks"]:
        left = faults["breaks"].pop(0)

    async def sent(message: dict[str, Any]) -> None:
        nonlocal left
        if scope["method"] == "POST" and not scope["path"].startswith("/tests/") and faults["lost_answers"]:
            faults["lost_answers"] -= 1
            connection.abort()
        if left is not None and message["type"] == "http.response.body":
            message["body"] = message["body"][:left]
            left -= len(message["body"])
            if not left:
                await send(message)
                # What was sent is to arrive.
                connection.transport.close()
                return
        await send(message)

    await shell(scope, receive, sent)


def _make_channel(execution_id: int, max_model_bytes: int = 100_000_000) -> dict[str, str]:
    now = timezone.now()
    name = f"execution-{execution_id}-1-abcdef"
    run_create(owner_kind="execution", owner_id=execution_id, name=name, manifest=_MANIFEST)
    spec = ChannelSpec(
        channel_id(execution_id, now), "execution", execution_id, 1, max_model_bytes, now + timedelta(hours=1)
    )
    channel_open(spec)
    return {"id": spec.id, "token": issue_token(WorkflowGrant("execution", execution_id, 1, name), spec.ends_at)}
