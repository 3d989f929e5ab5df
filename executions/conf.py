"""The settings that executions use, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from executions.facts import EngineSnapshot, Platform
from executions.host_paths import Claims
from executions.validation import Rules
from policy.conf import partner_roots
from runs.engines import get_engine

# The exit handler still reports after a run's deadline, so the token is valid a little longer than the run may take.
CALLBACK_GRACE = timedelta(minutes=10)


@dataclass(frozen=True)
class Deadlines:
    """Seconds from the POST to the end of the run, and to its start."""

    whole: int
    pending: int


def platform() -> Platform:
    """Return the platform's data that every Workflow gets."""
    return Platform(
        central_node_label_key=settings.CENTRAL_NODE_LABEL_KEY,
        central_node_label_value=settings.CENTRAL_NODE_LABEL_VALUE,
        maas_api_hostname=settings.MAAS_API_HOSTNAME,
        orchestrator_api_hostname=settings.ORCHESTRATOR_API_HOSTNAME,
        step_runner_version=settings.PROCESSOR_RESOURCE_MANAGER_VERSION,
        step_runner_callback_url=settings.PROCESSOR_RESOURCE_MANAGER_CALLBACK_URL,
        step_runner_api_host=settings.PROCESSOR_RESOURCE_MANAGER_API_HOST,
        federated_manager_version=settings.FEDERATED_LEARNING_MANAGER_VERSION,
        image_registry=settings.IMAGE_REGISTRY,
        paths=settings.AI_ENGINE_PATHS,
        api_urls=settings.AI_ENGINE_API_URLS,
        api_host=settings.AI_ENGINE_API_HOST,
    )


def transport() -> dict[str, str]:
    """Return the variables of HTTPS for Workflows (runtime.transport): none if plain HTTP is used everywhere."""
    apis = (
        (settings.ORCHESTRATOR_API_SCHEME, settings.ORCHESTRATOR_API_HOSTNAME),
        (settings.MAAS_API_SCHEME, settings.MAAS_API_HOSTNAME),
    )
    hosts = dict.fromkeys(hostname for scheme, hostname in apis if scheme == "https")
    told = {"ORCHESTRATOR_HTTPS_HOSTS": ",".join(hosts)} if hosts else {}
    return told | ({"ORCHESTRATOR_API_CA": settings.API_CA} if hosts and settings.API_CA else {})


def rules() -> Rules:
    """Return the rules of settings for what an execution may ask for."""
    partners = tuple(settings.VALID_DATA_PARTNERS)
    return Rules(partners, {partner: partner_roots(partner) for partner in partners})


def partner_claims() -> Claims:
    """Return the claims of data partners' folders; none if Workflows run on this machine, which has no claims."""
    return {} if get_engine(settings.ENGINE).is_of_this_machine else settings.DATA_PARTNER_CLAIMS


def deadlines() -> Deadlines:
    """Return the deadlines of a new run."""
    return Deadlines(settings.EXECUTION_DEADLINE_SECONDS, settings.EXECUTION_PENDING_DEADLINE_SECONDS)


def end_grace() -> timedelta:
    """Return how long an execution's Workflow may still run after the execution has ended."""
    return timedelta(seconds=settings.EXECUTION_END_GRACE_SECONDS)


def longest_run() -> timedelta:
    """Return how long a run may take."""
    return timedelta(seconds=deadlines().whole)


def default_snapshot() -> EngineSnapshot:
    """Return the values that are used if settings say not to ask the model registry."""
    return EngineSnapshot(
        container_name="dummy",
        container_version="dummy",
        max_iteration_time=1200,
        memory_request="3584Mi",
        memory_limit="3584Mi",
        cpu_request="250m",
        cpu_limit="4000m",
        download_resume_retries=4,
    )
