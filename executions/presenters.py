"""Executions as the API shows them, built from rows that have been read already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from rest_framework.request import Request

from executions.models import Execution, ExecutionState
from executions.partners import AwaitedPartner
from executions.rendering import Rendering
from executions.selectors import ShownAttempt, ShownEngine, ShownExecution, executions_shown
from web.addresses import Addresses, registry_url
from web.grants import Role, grant_of
from web.jsontext import escape

_PARTNERS = "/data/input_elements/platform_data/data_partners_patients"


def present_executions(rows: Sequence[Execution], addresses: Addresses) -> list[dict[str, Any]]:
    """Show a page of executions."""
    return [_execution(shown, addresses) for shown in executions_shown(rows)]


def present_execution(row: Execution, addresses: Addresses) -> dict[str, Any]:
    """Show one execution."""
    return present_executions([row], addresses)[0]


def present_execution_to(request: Request, row: Execution) -> dict[str, Any]:
    """Show one execution to a caller: a federated training's client sees only its own data partner's patients."""
    shown = present_execution(row, Addresses.of(request))
    grant = grant_of(request)
    data = shown["input_elements"].get("platform_data")
    if data and grant is not None and grant.role is Role.CLIENT:
        patients = data["data_partners_patients"]
        data["data_partners_patients"] = {name: ids for name, ids in patients.items() if grant.may_read(name)}
    return shown


def present_shown(shown: ShownExecution, addresses: Addresses) -> dict[str, Any]:
    """Show one execution whose rows have been read."""
    return _execution(shown, addresses)


def present_rendering(rendering: Rendering) -> dict[str, Any]:
    """Show the Workflow that a dry run would have started."""
    return {"manifest": rendering.manifest or None, "parameters": rendering.parameters}


def _execution(shown: ShownExecution, addresses: Addresses) -> dict[str, Any]:
    row = shown.row
    url = addresses.execution(row.pk)
    return {
        "url": url,
        "id": row.pk,
        "schema": addresses.schema(shown.schema),
        "schema_version": row.schema_version,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "state": _state(row.state, row.message or shown.held_up, row.reason),
        "input_elements": _inputs(shown, url),
        "ai_elements": {"ai_engines": [_engine(engine, url) for engine in shown.engines]},
        "output_elements": _outputs(row),
        "attempts": [_attempt(attempt, addresses) for attempt in shown.attempts],
        "warnings": [_warning(partner) for partner in shown.awaited],
    }


def _state(status: str, message: str, reason: str) -> dict[str, str]:
    state = {"status": status}
    if message:
        state["message"] = message
    if reason:
        state["reason"] = reason
    return state


def _attempt(shown: ShownAttempt, addresses: Addresses) -> dict[str, Any]:
    return {
        "attempt": shown.attempt,
        "schema_version": shown.schema_version,
        "state": _state(shown.state, shown.message, shown.reason),
        "run": addresses.run(shown.run) if shown.run else None,
    }


def _warning(partner: AwaitedPartner) -> dict[str, str]:
    pointer = f"{_PARTNERS}/{escape(partner.name)}"
    return {
        "pointer": pointer,
        "detail": f"cannot start now: {partner.reason}; the execution waits for this data partner",
    }


def _inputs(shown: ShownExecution, url: str) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    if shown.patients:
        inputs["platform_data"] = {"data_partners_patients": shown.patients}
    if shown.row.external_data:
        inputs["external_data"] = {"contents": f"{url}download_external_data/"}
    if shown.row.report_metadata:
        inputs["report_metadata"] = f"{url}download_report_metadata/"
    if shown.row.number_iterations is not None:
        options = shown.row.federated_options or {}
        inputs["federated_learning_configuration"] = {"number_iterations": shown.row.number_iterations, **options}
    return inputs


def _engine(engine: ShownEngine, url: str) -> dict[str, str]:
    shown = {
        "descriptor": engine.descriptor,
        "version": registry_url("ai_engines_versions", engine.version),
        "version_user_vars": f"{url}download_user_vars/?descriptor={quote(engine.descriptor, safe='')}",
    }
    if engine.ai_model is not None:
        shown["ai_model"] = registry_url("ai_models", engine.ai_model)
    return shown


def _outputs(execution: Execution) -> dict[str, Any]:
    if execution.state == ExecutionState.SUCCEEDED:
        return _produced(execution)
    if not execution.output_model_name:
        return {}
    return {"ai_model": _output_model_as_posted(execution)}


def _output_model_as_posted(execution: Execution) -> dict[str, str | None]:
    """Return the model that an execution is to produce; its merge type is None if none was given."""
    return {
        "name": execution.output_model_name,
        "description": execution.output_model_description,
        "merge_type": execution.output_model_merge_type or None,
    }


def _produced(execution: Execution) -> dict[str, Any]:
    produced: dict[str, Any] = {}
    if execution.ai_model is not None:
        produced["ai_model"] = {"ai_model": registry_url("ai_models", execution.ai_model)}
    if execution.evaluation_metrics is not None:
        produced["evaluation_metrics"] = [
            {"evaluation_metric": registry_url("evaluation_metrics", metric)} for metric in execution.evaluation_metrics
        ]
    if execution.generic_file is not None:
        produced["generic_file"] = {"generic_file": registry_url("generic_files", execution.generic_file)}
    return produced
