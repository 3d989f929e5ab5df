"""References to the parameters that the orchestrator gives to every Workflow, by their names on the wire."""

from __future__ import annotations

from dataclasses import dataclass


def parameter(name: str) -> str:
    """Return the reference to a parameter of the Workflow."""
    return f"{{{{workflow.parameters.{name}}}}}"


def platform_vars(name: str) -> str:
    """Return the reference to one of the AI engine's paths or URLs. The prefix is misspelt on the wire."""
    return parameter(f"aiEngine_plaformVars{name}")


REGISTRY_API = f"http://{parameter('platform_maasApiHostname')}/api"
EXECUTION_URL = f"http://{parameter('platform_orchestratorApiHostname')}/api/executions/{parameter('execution_id')}"

STEP_RUNNER_IMAGE = (
    f"{parameter('platform_imageRegistry')}/processor-resource-manager:"
    f"{parameter('platform_processorResourceManagerVersion')}"
)

FEDERATED_MANAGER_IMAGE = (
    f"{parameter('platform_imageRegistry')}/federated-learning-manager:"
    f"{parameter('platform_federatedLearningManagerVersion')}"
)

AI_ENGINE_HOST = platform_vars("ApiHost")
CALLBACK_HOST = parameter("platform_processorResourceManagerApiHost")


@dataclass(frozen=True)
class AIEngine:
    """One AI engine of a Schema; every reference is to a parameter named after its descriptor."""

    descriptor: str

    def parameter(self, name: str) -> str:
        """Return the reference to one of this AI engine's parameters, e.g. `version`."""
        return parameter(f"execution_{self.descriptor}-{name}")

    @property
    def image(self) -> str:
        name, version = self.parameter("container-name"), self.parameter("container-version")
        return f"{parameter('platform_imageRegistry')}/{name}:{version}"

    @property
    def own_api_host(self) -> str:
        """The address of this AI engine when several share one loopback address."""
        return self.parameter("plaform-vars-api-host")

    @property
    def own_callback_host(self) -> str:
        """The address at which the step runner listens for this AI engine when several share one loopback address."""
        return self.parameter("prm-api-host")
