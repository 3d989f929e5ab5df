"""The parameters of an execution's Workflow, by name, as strings.

Names and values are a wire format, misspellings included: contracts/workflow-parameters.md. Manifests paste these
values into their own JSON, so every value must stay valid and unchanged inside a JSON string literal or as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from executions.facts import OutputModel, Partner, Platform, RenderedEngine, RenderedExecution
from schemas.parameter_names import well_spelt

DEFAULT_MERGE_TYPE = "default"
CHANNEL_PARAMETER = "execution_communicationAdapterId"

# Key in platform_vars.json -> suffix of the parameter's name.
PATH_NAMES: Mapping[str, str] = {
    "input_elements": "InputElements",
    "input_data_training_tabular": "InputDataTrainingTabular",
    "input_data_training_imagery": "InputDataTrainingImagery",
    "input_data_evaluation_tabular": "InputDataEvaluationTabular",
    "input_data_evaluation_imagery": "InputDataEvaluationImagery",
    "input_data_inference": "InputDataInference",
    "input_data_inference_report_metadata": "InputDataInferenceReportMetadata",
    "input_ai_elements": "InputAIElements",
    "input_user_vars": "InputUserVars",
    "input_model": "InputModel",
    "input_models": "InputModels",
    "output_elements": "OutputElements",
    "output_model": "OutputModel",
    "output_evaluation_metrics": "OutputEvaluationMetrics",
    "output_inference_results": "OutputInferenceResults",
}
API_URL_NAMES: Mapping[str, str] = {
    "api_ping_url": "ApiPingUrl",
    "api_run_url": "ApiRunUrl",
    "api_end_url": "ApiEndUrl",
}

_STRING_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"')


def json_text(text: str) -> str:
    """Return the inside of a JSON string literal that reads as `text`.

    Braces are written as escapes: a reader of the JSON sees them, Argo's `{{…}}` expansion does not.
    """
    return _hide_braces(json.dumps(text)[1:-1])


def json_value(value: Any) -> str:
    """Return `value` as compact JSON in which Argo takes no string for an expression."""
    compact = json.dumps(value, separators=(",", ":"))
    return _STRING_LITERAL.sub(lambda literal: _hide_braces(literal[0]), compact)


def _hide_braces(text: str) -> str:
    return text.replace("{", "\\u007b").replace("}", "\\u007d")


def execution_parameters(execution: RenderedExecution, platform: Platform, config_map_name: str) -> dict[str, str]:
    """Return all parameters of the execution's Workflow."""
    parameters = {
        **platform_parameters(platform, config_map_name),
        "execution_id": str(execution.id),
        **_partner_parameters(execution),
    }
    for engine in execution.engines:
        parameters.update(_engine_parameters(engine))
    if execution.output_model is not None:
        parameters.update(_output_model_parameters(execution.output_model))
    return _with_both_spellings(parameters)


def platform_parameters(platform: Platform, config_map_name: str) -> dict[str, str]:
    """Return the parameters that are the same for every execution, except for the ConfigMap's name."""
    prefix = "aiEngine_plaformVars"
    return {
        "platform_centralNodeLabelKey": platform.central_node_label_key,
        "platform_centralNodeLabelValue": platform.central_node_label_value,
        "platform_maasApiHostname": platform.maas_api_hostname,
        "platform_orchestratorApiHostname": platform.orchestrator_api_hostname,
        "platform_processorResourceManagerVersion": platform.step_runner_version,
        "platform_processorResourceManagerCallbackUrl": platform.step_runner_callback_url,
        "platform_processorResourceManagerApiHost": platform.step_runner_api_host,
        "platform_federatedLearningManagerVersion": platform.federated_manager_version,
        "platform_imageRegistry": platform.image_registry,
        f"{prefix}ConfigMapName": config_map_name,
        **{f"{prefix}{end}": platform.paths[key] for key, end in PATH_NAMES.items()},
        **{f"{prefix}{end}": platform.api_urls[key] for key, end in API_URL_NAMES.items()},
        f"{prefix}ApiHost": platform.api_host,
    }


def platform_vars(platform: Platform) -> dict[str, Any]:
    """Return what an AI engine finds in `/platform_vars.json`."""
    host, _, port = platform.api_host.rpartition(":")
    return {
        **{key: platform.paths[key] for key in PATH_NAMES},
        **{key: platform.api_urls[key] for key in API_URL_NAMES},
        "api_host": host,
        "api_port": int(port),
    }


def _partner_parameters(execution: RenderedExecution) -> dict[str, str]:
    if not execution.partners:
        return {}
    patients = json_value({partner.name: list(partner.patient_ids) for partner in execution.partners})
    if not execution.federated:
        partner = execution.partners[0]
        return {
            "execution_dataPartner": partner.name,
            "execution_dataPartnerDataPath": partner.system_path or "",
            "execution_dataPartnerPatients": patients,
        }
    return {
        "execution_dataPartnerPatients": patients,
        "execution_dataPartnerPatientsList": json_value([_partner_item(partner) for partner in execution.partners]),
        "execution_federatedConfigNumberIterations": str(execution.number_iterations),
        "execution_federatedConfigNumberDataPartners": str(len(execution.partners)),
        CHANNEL_PARAMETER: execution.channel_id,
    }


def _partner_item(partner: Partner) -> dict[str, str]:
    return {"data_partner": partner.name, "data_path": partner.system_path or ""}


def _engine_parameters(engine: RenderedEngine) -> dict[str, str]:
    prefix = f"execution_{engine.chosen.descriptor}"
    snapshot = engine.snapshot
    parameters = {
        f"{prefix}-version": str(engine.chosen.version),
        f"{prefix}-container-name": snapshot.container_name,
        f"{prefix}-container-version": snapshot.container_version,
        f"{prefix}-container-version-max-iteration-time": str(snapshot.max_iteration_time),
        f"{prefix}-container-version-memory-request": snapshot.memory_request,
        f"{prefix}-container-version-memory-limit": snapshot.memory_limit,
        f"{prefix}-container-version-cpu-request": snapshot.cpu_request,
        f"{prefix}-container-version-cpu-limit": snapshot.cpu_limit,
        f"{prefix}-prm-api-host": f"127.0.0.1:{engine.ports.callback}",
        f"{prefix}-plaform-vars-api-host": f"127.0.0.1:{engine.ports.api}",
    }
    if engine.chosen.ai_model is not None:
        parameters[f"{prefix}-ai-model"] = str(engine.chosen.ai_model)
        parameters[f"{prefix}-ai-model-download-resume-retries"] = str(snapshot.download_resume_retries)
    return parameters


def _output_model_parameters(model: OutputModel) -> dict[str, str]:
    return {
        "execution_outputAIModelName": json_text(model.name),
        "execution_outputAIModelDescription": json_text(model.description),
        "execution_outputAIModelMergeType": json_text(model.merge_type or DEFAULT_MERGE_TYPE),
    }


def _with_both_spellings(parameters: dict[str, str]) -> dict[str, str]:
    twins = {well_spelt(name): value for name, value in parameters.items()}
    return {**twins, **parameters}
