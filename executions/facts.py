"""The plain data that executions are validated and rendered from; without Django."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from federated.channels import channel_id
from schemas.elements import Elements
from schemas.federated import FederatedOptions

# The name of executions as owners of runs.
OWNER_KIND = "execution"
USER_VARS_SUFFIX = "_version_user_vars"
EXTERNAL_DATA = "external_data"
REPORT_METADATA = "report_metadata"
STARTED_IMPLEMENTATION = "argo_workflows"


@dataclass(frozen=True)
class SchemaFacts:
    """What a Schema takes and gives."""

    name: str
    implementation: str
    elements: Elements

    @property
    def is_started(self) -> bool:
        return self.implementation == STARTED_IMPLEMENTATION

    @property
    def is_federated(self) -> bool:
        return self.elements.input.federated_learning_configuration

    @property
    def produces_nothing(self) -> bool:
        """Whether its Workflow has no products to report."""
        output = self.elements.output
        return not (output.ai_model or output.evaluation_metrics or output.generic_file)

    @property
    def file_parts(self) -> tuple[str, ...]:
        """The names of the file parts that a POST must have; it may have no others."""
        parts = [EXTERNAL_DATA] if self.elements.input.external_data else []
        parts += [REPORT_METADATA] if self.elements.input.report_metadata else []
        return (*parts, *(user_vars_part(engine.descriptor) for engine in self.elements.engines))


def user_vars_part(descriptor: str) -> str:
    """Name the file part that holds an AI engine's user variables."""
    return f"{descriptor}{USER_VARS_SUFFIX}"


@dataclass(frozen=True)
class Partner:
    """A data partner's share; `entry` is everything posted for it, clinical data included."""

    name: str
    system_path: str | None
    patient_ids: tuple[str, ...]
    entry: Mapping[str, Any]


@dataclass(frozen=True)
class ChosenEngine:
    """The model registry's ids that were chosen for one of the Schema's AI engines."""

    descriptor: str
    version: int
    ai_model: int | None


@dataclass(frozen=True)
class OutputModel:
    name: str
    description: str
    merge_type: str = ""
    """Empty if none was given; the Workflow then gets the default."""


@dataclass(frozen=True)
class ExecutionRequest:
    """A posted execution that passed validation."""

    schema: str
    partners: tuple[Partner, ...]
    number_iterations: int | None
    engines: tuple[ChosenEngine, ...]
    output_model: OutputModel | None
    federated_options: FederatedOptions = field(default_factory=FederatedOptions)
    """The options as posted, without the Schema's defaults."""

    @property
    def patients(self) -> dict[str, tuple[str, ...]]:
        """The ids of the patients by data partner."""
        return {partner.name: partner.patient_ids for partner in self.partners}


@dataclass(frozen=True)
class EngineSnapshot:
    """The model registry's data on an AI engine's version and its model when the execution was posted.

    Times in seconds, memory and cpu as Kubernetes quantities.
    """

    container_name: str
    container_version: str
    max_iteration_time: int
    memory_request: str
    memory_limit: str
    cpu_request: str
    cpu_limit: str
    download_resume_retries: int


@dataclass(frozen=True)
class EnginePorts:
    """The host ports of one AI engine: the step runner's callback server and the AI engine's own API."""

    callback: int
    api: int


@dataclass(frozen=True)
class RenderedEngine:
    chosen: ChosenEngine
    snapshot: EngineSnapshot
    ports: EnginePorts


@dataclass(frozen=True)
class RenderedExecution:
    """The data of an execution that its Workflow's parameters are made of."""

    id: int
    created_at: datetime
    federated: bool
    partners: tuple[Partner, ...]
    number_iterations: int | None
    engines: tuple[RenderedEngine, ...]
    output_model: OutputModel | None

    @property
    def channel_id(self) -> str:
        """The channel of this attempt's federated training; `created_at` is when the attempt began."""
        return channel_id(self.id, self.created_at)


@dataclass(frozen=True)
class ManagerVariables:
    """The variables that are added to the environment of the federated manager's containers.

    `channel`: how to reach the channel, unless the manifest says so itself. `defaults`: the same for containers that
    also take variables from elsewhere (`envFrom`), whose names are not known here. `chosen`: what the execution or its
    Schema asks for; it takes precedence over the manifest. `secret`: names of variables in the callback's Secret.
    `installed`: by role, the contents of the installation's ConfigMaps of the managers, the same for all executions.
    """

    channel: Mapping[str, str]
    defaults: Mapping[str, str]
    chosen: Mapping[str, str]
    secret: tuple[str, ...]
    max_model_bytes: int
    installed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Platform:
    """The parameters' values from settings; `paths` and `api_urls` by the keys of `platform_vars.json`."""

    central_node_label_key: str
    central_node_label_value: str
    maas_api_hostname: str
    orchestrator_api_hostname: str
    step_runner_version: str
    step_runner_callback_url: str
    step_runner_api_host: str
    federated_manager_version: str
    image_registry: str
    paths: Mapping[str, str]
    api_urls: Mapping[str, str]
    api_host: str
