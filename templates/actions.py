"""The actions of the step runner, and the arguments that carry them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from templates.parameters import (
    AI_ENGINE_HOST,
    CALLBACK_HOST,
    EXECUTION_URL,
    REGISTRY_API,
    AIEngine,
    parameter,
    platform_vars,
)

MAX_INITIALIZATION_SECONDS = 300
MAX_FINALIZATION_SECONDS = 30
MAX_FINALIZATION_RETRIES = 3
DOWNLOAD_RESUME_RETRIES = 4


@dataclass(frozen=True)
class Literal:
    """A reference whose value is JSON already, so that it is written into the arguments without quotes."""

    reference: str


Action = Mapping[str, Any]


def arguments(actions: Sequence[Action]) -> str:
    """Return actions as the JSON text that the step runner takes as an argument."""
    literals: dict[str, str] = {}

    def stand_in(value: object) -> str:
        if not isinstance(value, Literal):
            raise TypeError(f"{value!r} cannot be an argument")
        mark = f"@literal-{len(literals)}@"
        literals[f'"{mark}"'] = value.reference
        return mark

    text = json.dumps({"actions": list(actions)}, indent=2, default=stand_in)
    for mark, reference in literals.items():
        text = text.replace(mark, reference)
    return text


def create_directory(path: str) -> Action:
    return {"name": "create_directory", "directory_path": path}


def update_to_running() -> Action:
    return {"name": "update_to_running", "update_status_url": f"{EXECUTION_URL}/update_to_running/"}


def update_to_failed(message: str) -> Action:
    return {
        "name": "update_to_failed",
        "update_status_url": f"{EXECUTION_URL}/update_to_failed/",
        "message": message,
    }


def download_user_vars(engine: AIEngine, path: str) -> Action:
    return {
        "name": "download_user_vars",
        "user_vars_url": f"{EXECUTION_URL}/download_user_vars/?descriptor={engine.descriptor}",
        "output_path": path,
        "download_resume_retries": DOWNLOAD_RESUME_RETRIES,
    }


def download_external_data(path: str) -> Action:
    return {
        "name": "download_external_data",
        "external_data_url": f"{EXECUTION_URL}/download_external_data/",
        "output_path": path,
        "download_resume_retries": DOWNLOAD_RESUME_RETRIES,
    }


def download_report_metadata(path: str) -> Action:
    return {
        "name": "download_json",
        "json_url": f"{EXECUTION_URL}/download_report_metadata/",
        "output_path": path,
        "download_resume_retries": DOWNLOAD_RESUME_RETRIES,
    }


def download_ai_model(engine: AIEngine, path: str) -> Action:
    return {
        "name": "download_ai_model",
        "ai_model_url": f"{REGISTRY_API}/ai_models/{engine.parameter('ai-model')}/download_contents/",
        "output_path": path,
        "download_resume_retries": Literal(engine.parameter("ai-model-download-resume-retries")),
    }


def prepare_internal_data(path: str, partner: str = parameter("execution_dataPartner")) -> Action:
    """Return the action that writes the posted data of a data partner into workbooks, given as a reference to its
    name."""
    return {
        "name": "prepare_internal_data",
        "information_url": f"{EXECUTION_URL}/retrieve_data_partner_information/?data_partner={partner}",
        "output_path": path,
    }


def change_api_host_and_port(source: str, target: str, api_host_and_port: str) -> Action:
    return {
        "name": "change_api_host_and_port",
        "read_file_path": source,
        "write_file_path": target,
        "api_host_and_port": api_host_and_port,
    }


def add_data_provider_info(source: str, target: str, data_provider: str) -> Action:
    return {
        "name": "add_data_provider_info",
        "read_file_path": source,
        "write_file_path": target,
        "data_provider": data_provider,
    }


def run_ai_engine(
    engine: AIEngine, use_case: str, client_host: str = AI_ENGINE_HOST, server_host: str = CALLBACK_HOST
) -> Action:
    """Return the action that runs an AI engine at `client_host` and waits for its callback at `server_host`."""
    return {
        "name": "run_ai_engine",
        "use_case": use_case,
        "client_host": client_host,
        "server_host": server_host,
        "ping_url": platform_vars("ApiPingUrl"),
        "run_url": platform_vars("ApiRunUrl"),
        "callback_url": parameter("platform_processorResourceManagerCallbackUrl"),
        "max_iteration_time": Literal(engine.parameter("container-version-max-iteration-time")),
        "max_initialization_time": MAX_INITIALIZATION_SECONDS,
    }


def end_ai_engine(client_host: str = AI_ENGINE_HOST) -> Action:
    return {
        "name": "end_ai_engine",
        "client_host": client_host,
        "ping_url": platform_vars("ApiPingUrl"),
        "end_url": platform_vars("ApiEndUrl"),
        "max_finalization_time": MAX_FINALIZATION_SECONDS,
        "max_finalization_retries": MAX_FINALIZATION_RETRIES,
    }


@dataclass(frozen=True)
class Uploads:
    """What an execution stores in the registry when it succeeds: the fields of `update_to_succeeded`, by result."""

    ai_model: Action = field(default_factory=dict)
    evaluation_metrics: Action = field(default_factory=dict)
    generic_file: Action = field(default_factory=dict)


def update_to_succeeded(uploads: Uploads) -> Action:
    return {
        "name": "update_to_succeeded",
        "update_status_url": f"{EXECUTION_URL}/update_to_succeeded/",
        "upload_ai_model": bool(uploads.ai_model),
        "upload_evaluation_metrics": bool(uploads.evaluation_metrics),
        "upload_generic_file": bool(uploads.generic_file),
        **uploads.ai_model,
        **uploads.evaluation_metrics,
        **uploads.generic_file,
    }


def ai_model_upload(engine: AIEngine, parent: bool = False) -> Action:
    """Return the upload of a trained model; with `parent`, it names the model that it was trained from."""
    metadata: dict[str, object] = {
        "ai_engine_version": Literal(engine.parameter("version")),
        "merge_type": parameter("execution_outputAIModelMergeType"),
        "data_partners_patients": Literal(parameter("execution_dataPartnerPatients")),
        "name": parameter("execution_outputAIModelName"),
        "description": parameter("execution_outputAIModelDescription"),
    }
    if parent:
        metadata["parent_ai_model"] = Literal(engine.parameter("ai-model"))
    return {
        "ai_model_upload_url": f"{REGISTRY_API}/ai_models/update_or_create/",
        "ai_model_delete_url": f"{REGISTRY_API}/ai_models/",
        "ai_model_upload_path": f"{platform_vars('OutputModel')}*",
        "ai_model_upload_metadata": metadata,
        "ai_model_user_vars_path": platform_vars("InputUserVars"),
    }


def evaluation_metrics_upload(engine: AIEngine) -> Action:
    """Return the upload of the metrics that an AI engine measured for the given model."""
    return {
        "evaluation_metrics_upload_url": f"{REGISTRY_API}/evaluation_metrics/update_or_create/",
        "evaluation_metrics_delete_url": f"{REGISTRY_API}/evaluation_metrics/",
        "evaluation_metrics_upload_path": platform_vars("OutputEvaluationMetrics"),
        "evaluation_metrics_upload_metadata": {
            "data_partners_patients": Literal(parameter("execution_dataPartnerPatients"))
        },
        "evaluation_metrics_ai_model": Literal(engine.parameter("ai-model")),
        "evaluation_metrics_multiple": False,
    }


def partners_metrics_upload(folder: str) -> Action:
    """Return the upload of the metrics of each data partner for the model that is uploaded with them.

    `folder` holds `<partner>.json`; each is stored as measured on that partner's patients.
    """
    return {
        "evaluation_metrics_upload_url": f"{REGISTRY_API}/evaluation_metrics/update_or_create/",
        "evaluation_metrics_delete_url": f"{REGISTRY_API}/evaluation_metrics/",
        "evaluation_metrics_upload_path": folder,
        "evaluation_metrics_upload_metadata": {},
        "evaluation_metrics_multiple": True,
        "evaluation_metrics_patients_info": Literal(parameter("execution_dataPartnerPatients")),
    }


def generic_file_upload(path: str) -> Action:
    """Return the upload of the inference results below `path`."""
    return {
        "generic_file_upload_url": f"{REGISTRY_API}/generic_files/",
        "generic_file_delete_url": f"{REGISTRY_API}/generic_files/",
        "generic_file_upload_path": f"{path}*",
        "generic_file_upload_metadata": {"name": f"execution-{parameter('execution_id')}"},
    }
