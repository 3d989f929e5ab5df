"""The plain data that executions are validated and rendered from; no Django here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from federated.channels import channel_id
from schemas.elements import Elements
from schemas.federated import FederatedOptions

# Under this name executions own runs.
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
        """Whether there is nothing that its Workflow would have to report."""
        output = self.elements.output
        return not (output.ai_model or output.evaluation_metrics or output.generic_file)

    @property
    def file_parts(self) -> tuple[str, ...]:
        """The names of the file parts that a POST must hold, and no others."""
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
    """The registry's ids that fill one of the Schema's AI engines."""

    descriptor: str
    version: int
    ai_model: int | None


@dataclass(frozen=True)
class OutputModel:
    name: str
    description: str
    merge_type: str = ""
    """Empty where none was given; the Workflow is told the default then."""


@dataclass(frozen=True)
class ExecutionRequest:
    """A posted execution that passed validation."""

    schema: str
    partners: tuple[Partner, ...]
    number_iterations: int | None
    engines: tuple[ChosenEngine, ...]
    output_model: OutputModel | None
    federated_options: FederatedOptions = field(default_factory=FederatedOptions)
    """As posted; what the Schema says beside it is not in it."""

    @property
    def patients(self) -> dict[str, tuple[str, ...]]:
        """The ids of the patients by data partner."""
        return {partner.name: partner.patient_ids for partner in self.partners}


@dataclass(frozen=True)
class EngineSnapshot:
    """What the registry said of an AI engine's version, and of its model, when the execution was posted.

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
    """Everything of an execution that its Workflow's parameters are made of."""

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
    """What the containers of the federated manager find in their environment beside what their manifest says.

    `channel`: how to reach the channel, where the manifest does not say so itself. `defaults`: the same, but for
    containers that take variables from elsewhere (`envFrom`), whose names are not known here. `chosen`: what the
    execution, or its Schema, asks for, whatever the manifest says. `secret`: names that the callback's Secret holds.
    `installed`: by role, what an installation's ConfigMaps of the managers hold; the same for all executions.
    """

    channel: Mapping[str, str]
    defaults: Mapping[str, str]
    chosen: Mapping[str, str]
    secret: tuple[str, ...]
    max_model_bytes: int
    installed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Platform:
    """What the parameters take from settings; `paths` and `api_urls` by the keys of `platform_vars.json`."""

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
