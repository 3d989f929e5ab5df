"""The channel of an execution's federated training, and the variables of its federated managers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from engines.base import FEDERATED_ANNOTATION
from executions.facts import OWNER_KIND, ManagerVariables, RenderedExecution
from executions.parameters import CHANNEL_PARAMETER
from federated.services import ChannelSpec, manager_environment, secret_variables
from runs.models import WorkflowRun
from schemas.federated import FederatedOptions

KILOBYTE = 1024
# Added to an AI engine's own time: models must travel, and a lost pod must start again.
ROUND_MARGIN_SECONDS = 300
_OF_CHANNEL = ("COMMUNICATION_ADAPTER", "COMMUNICATION_ADAPTER_BOOTSTRAP_SERVERS_CONFIG")
_OF_ROUND = ("COMMUNICATION_ADAPTER_MAX_ITERATION_TIME", "COMMUNICATION_ADAPTER_START_ITERATION_MESSAGE_TIME_OUT")


def manager_variables(
    execution: RenderedExecution, options: FederatedOptions, attempt: int, ends_at: datetime
) -> ManagerVariables:
    """Return the variables of the managers of an attempt; `options` are the execution's merged over its Schema's."""
    size = (options.max_model_size or settings.FEDERATED_MAX_MODEL_KILOBYTES) * KILOBYTE
    spec = ChannelSpec(execution.channel_id, OWNER_KIND, execution.id, attempt, size, ends_at)
    channel = manager_environment(spec)
    api = f"{settings.ORCHESTRATOR_API_SCHEME}://{settings.ORCHESTRATOR_API_HOSTNAME}/api"
    progress = f"{api}/executions/{execution.id}/progress/"
    chosen = _chosen(options)
    if options.max_model_size is not None:
        chosen["COMMUNICATION_ADAPTER_MAX_MODEL_SIZE"] = channel["COMMUNICATION_ADAPTER_MAX_MODEL_SIZE"]
    longest = max(engine.snapshot.max_iteration_time for engine in execution.engines)
    times = _time_outs(longest, options.round_deadline_seconds)
    if options.round_deadline_seconds is not None:
        chosen |= {name: times[name] for name in _OF_ROUND}
    return ManagerVariables(
        channel={**channel, "FEDERATED_PROGRESS_ENDPOINT": progress},
        defaults={**times, **_linkage(longest)},
        chosen=chosen,
        secret=secret_variables(),
        max_model_bytes=size,
        installed=_installed(channel),
    )


def channel_of(run: WorkflowRun, longest_run: timedelta, now: datetime) -> ChannelSpec | None:
    """Return the channel that the Workflow of a run was rendered for, or None if it needs none."""
    manifest = run.manifest
    found = _parameter(manifest, CHANNEL_PARAMETER)
    size = (manifest.get("metadata", {}).get("annotations") or {}).get(FEDERATED_ANNOTATION)
    if found is None or size is None:
        return None
    return ChannelSpec(
        found, run.owner_kind, run.owner_id, run.attempt, int(size), run.deadline_at or now + longest_run
    )


def _parameter(manifest: Mapping[str, Any], name: str) -> str | None:
    given = (manifest.get("spec", {}).get("arguments") or {}).get("parameters") or []
    return next((each.get("value") for each in given if each.get("name") == name), None)


def _chosen(options: FederatedOptions) -> dict[str, str]:
    named = {
        "FEDERATED_ROUND_POLICY": options.on_missing_clients,
        "FEDERATED_MINIMUM_CLIENTS": options.minimum_clients,
        "FEDERATED_AGGREGATION": options.aggregation,
        "FEDERATED_TRIM": options.trim,
    }
    return {name: str(value) for name, value in named.items() if value is not None}


def _linkage(longest_use_case: int) -> dict[str, str]:
    """Return the variables that a manager needs to drive its AI engine; times in seconds."""
    own = {
        "MAX_ITERATION_TIME": longest_use_case,
        "MAX_INITIALIZATION_TIME": 240,
        "MAX_FINALIZATION_TIME": 30,
        "MAX_FINALIZATION_RETRIES": 4,
    }
    return {f"AI_ENGINE_LINKAGE_ADAPTER_{name}": str(value) for name, value in own.items()}


def _installed(channel: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the contents of the managers' ConfigMaps by role (contracts/environment.md), from our own settings.

    They are the same for all executions: on a cluster all executions share the ConfigMaps.
    """
    urls, paths = settings.AI_ENGINE_API_URLS, settings.AI_ENGINE_PATHS
    longest = settings.FEDERATED_ITERATION_SECONDS
    linkage = {
        "CLIENT_HOST": settings.AI_ENGINE_API_HOST,
        "SERVER_HOST": settings.PROCESSOR_RESOURCE_MANAGER_API_HOST,
        "PING_URL": urls["api_ping_url"],
        "RUN_URL": urls["api_run_url"],
        "END_URL": urls["api_end_url"],
        "CALLBACK_URL": settings.PROCESSOR_RESOURCE_MANAGER_CALLBACK_URL,
    }
    common = {
        "AI_ENGINE_LINKAGE_ADAPTER": "ASYNC_REST_API",
        "AI_ENGINE_MODEL_MANAGEMENT_ADAPTER": "DEFAULT",
        "PLATFORM_ADAPTER": "INCISIVE",
        **{name: channel[name] for name in _OF_CHANNEL if name in channel},
        "COMMUNICATION_ADAPTER_MAX_MODEL_SIZE": str(settings.FEDERATED_MAX_MODEL_KILOBYTES),
        "COMMUNICATION_ADAPTER_POLL_TIME_OUT": "60",
        **_time_outs(longest, None),
        **_linkage(longest),
        **{f"AI_ENGINE_LINKAGE_ADAPTER_{name}": value for name, value in linkage.items()},
    }
    models = {
        "client": {
            "INPUT_MERGED_MODEL_PATH": paths["input_model"],
            "OUTPUT_UNMERGED_MODEL_PATH": paths["output_model"],
            "OUTPUT_EVALUATION_METRICS_PATH": paths["output_evaluation_metrics"],
        },
        "server": {
            "INPUT_UNMERGED_MODELS_DIRECTORY_PATH": paths["input_models"],
            "OUTPUT_MERGED_MODEL_PATH": paths["output_model"],
            "INPUT_EVALUATION_METRICS_DIRECTORY_PATH": f"{paths['output_elements'].rstrip('/')}/evaluation_metrics/",
        },
    }
    return {
        role: {**common, **{f"AI_ENGINE_MODEL_MANAGEMENT_ADAPTER_{name}": path for name, path in own.items()}}
        for role, own in models.items()
    }


def _time_outs(longest_use_case: int, round_deadline: int | None) -> dict[str, str]:
    """Return how long roles wait for each other, in seconds.

    In its first round a quick client waits until the server no longer waits for clients to join, until the others have
    trained, and until the models are merged.
    """
    start = settings.FEDERATED_INITIALIZATION_SECONDS
    of_round = round_deadline or longest_use_case + ROUND_MARGIN_SECONDS
    return {
        "COMMUNICATION_ADAPTER_MAX_INITIALIZATION_TIME": str(start),
        "COMMUNICATION_ADAPTER_INITIALIZATION_MESSAGE_TIME_OUT": str(start),
        "COMMUNICATION_ADAPTER_MAX_ITERATION_TIME": str(of_round),
        "COMMUNICATION_ADAPTER_START_ITERATION_MESSAGE_TIME_OUT": str(
            start + of_round + longest_use_case + ROUND_MARGIN_SECONDS
        ),
    }
