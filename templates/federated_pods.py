"""The pods of a federated training: a federated manager (`main`) beside an AI engine, prepared by the step runner.

The addresses of the managers' channel are not in the manifest: the orchestrator adds them to the managers' environment
for each execution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hera.workflows import Artifact, Container, ContainerNode, ContainerSet, Parameter, UserContainer
from hera.workflows.models import EmptyDirVolumeSource, EnvVar, Volume, VolumeMount

from templates.actions import (
    MAX_FINALIZATION_RETRIES,
    MAX_FINALIZATION_SECONDS,
    MAX_INITIALIZATION_SECONDS,
    Action,
    arguments,
)
from templates.parameters import (
    AI_ENGINE_HOST,
    CALLBACK_HOST,
    EXECUTION_URL,
    FEDERATED_MANAGER_IMAGE,
    STEP_RUNNER_IMAGE,
    AIEngine,
    parameter,
    platform_vars,
)
from templates.placement import Placement, node_selector
from templates.pods import (
    AI_ELEMENTS,
    OUTPUT_ELEMENTS,
    PLATFORM_VARS_FILE,
    PLATFORM_VARS_SOURCE,
    PLATFORM_VARS_TARGET,
    RETRY_ALWAYS,
    RETRY_LOST_POD,
    error_message,
    platform_vars_volume,
    resources,
    shared_mounts,
    shared_volumes,
)

DATA_PARTNER, DATA_PATH = "data_partner", "data_path"
CLIENTS_METRICS = f"{platform_vars('OutputElements')}evaluation_metrics/"
PLATFORM_VARS_OF_PARTNER = f"{PLATFORM_VARS_TARGET}/{PLATFORM_VARS_FILE}"

_FAILURE_URL = f"{EXECUTION_URL}/update_role_to_failed/"
_CHANNEL_ID = parameter("execution_communicationAdapterId")
_ROUNDS = parameter("execution_federatedConfigNumberIterations")
_MODELS = "AI_ENGINE_MODEL_MANAGEMENT_ADAPTER"
_ITS_PARTNER = f"{{{{inputs.parameters.{DATA_PARTNER}}}}}"


def server_pod(*, engine: AIEngine, preparation: Sequence[Action], output: str) -> ContainerSet:
    """Build the server's pod, on the central node; `output` is the name of the artifact with its outputs."""
    mount = VolumeMount(
        name="platform-vars", mount_path=f"/{PLATFORM_VARS_FILE}", sub_path=PLATFORM_VARS_FILE, read_only=True
    )
    partners = parameter("execution_federatedConfigNumberDataPartners")
    return _role_pod(
        "server",
        engine,
        node_selector(Placement.CENTRAL),
        args=["server", _CHANNEL_ID, _ROUNDS, partners, "merging_models",
              "--failure-endpoint", _FAILURE_URL],
        environment={
            f"{_MODELS}_INPUT_UNMERGED_MODELS_DIRECTORY_PATH": platform_vars("InputModels"),
            f"{_MODELS}_OUTPUT_MERGED_MODEL_PATH": platform_vars("OutputModel"),
            f"{_MODELS}_INPUT_EVALUATION_METRICS_DIRECTORY_PATH": CLIENTS_METRICS,
        },
        preparation=[arguments(preparation), "--failure-endpoint", _FAILURE_URL],
        platform_vars_mount=mount,
        outputs=[Artifact(name=output, path=OUTPUT_ELEMENTS)],
    )  # fmt: skip


def client_pod(*, engine: AIEngine, use_case: str, preparation: Sequence[Action]) -> ContainerSet:
    """Build a client's pod, on the cluster node of its data partner.

    Its inputs are DATA_PARTNER, the partner's name, and DATA_PATH. The manager reports a failure to the server, so the
    pod needs no endpoint for that; a failed preparation is reported to the orchestrator, since no manager starts then.
    """
    failure = f"{_FAILURE_URL}?data_partner={_ITS_PARTNER}"
    own = Volume(name="own-platform-vars", empty_dir=EmptyDirVolumeSource())
    return _role_pod(
        "client",
        engine,
        node_selector(Placement.DATA_PARTNER, _ITS_PARTNER),
        args=["client", _CHANNEL_ID, _ITS_PARTNER, _ROUNDS, use_case],
        environment={
            f"{_MODELS}_INPUT_MERGED_MODEL_PATH": platform_vars("InputModel"),
            f"{_MODELS}_OUTPUT_UNMERGED_MODEL_PATH": platform_vars("OutputModel"),
            f"{_MODELS}_OUTPUT_EVALUATION_METRICS_PATH": platform_vars("OutputEvaluationMetrics"),
        },
        preparation=[arguments(preparation), "--failure-endpoint", failure],
        preparation_mounts=[
            VolumeMount(
                name="platform-vars", mount_path=PLATFORM_VARS_SOURCE, sub_path=PLATFORM_VARS_FILE, read_only=True
            ),
            VolumeMount(name=own.name, mount_path=PLATFORM_VARS_TARGET),
        ],
        platform_vars_mount=VolumeMount(
            name=own.name, mount_path=f"/{PLATFORM_VARS_FILE}", sub_path=PLATFORM_VARS_FILE, read_only=True
        ),
        partner_path=f"{{{{inputs.parameters.{DATA_PATH}}}}}",
        volumes=[own],
        inputs=[Parameter(name=DATA_PARTNER), Parameter(name=DATA_PATH)],
    )


def finalization_pod(*, actions: Sequence[Action], artifact: str) -> Container:
    """Build the central pod that stores what the server left in the artifact of that name."""
    return Container(
        name="server-finalization",
        image=STEP_RUNNER_IMAGE,
        args=[arguments(actions)],
        node_selector=node_selector(Placement.CENTRAL),
        retry_strategy=RETRY_LOST_POD,
        # Not into a volume: Argo cannot replace a folder by an artifact if a volume is mounted on it, and only its own
        # user may read the folders that it makes above an artifact in a volume.
        inputs=[Artifact(name=artifact, path=OUTPUT_ELEMENTS)],
        outputs=[error_message()],
        volumes=[Volume(name="ai-elements", empty_dir=EmptyDirVolumeSource())],
        volume_mounts=[VolumeMount(name="ai-elements", mount_path=AI_ELEMENTS)],
    )


def _role_pod(
    name: str,
    engine: AIEngine,
    selector: dict[str, str],
    *,
    args: list[str],
    environment: Mapping[str, str],
    preparation: list[str],
    platform_vars_mount: VolumeMount,
    preparation_mounts: Sequence[VolumeMount] = (),
    partner_path: str = "",
    volumes: Sequence[Volume] = (),
    inputs: Sequence[Parameter] = (),
    outputs: Sequence[Artifact] = (),
) -> ContainerSet:
    mounts = shared_mounts(partner_data=bool(partner_path))
    variables = {**_engine_linkage(engine), **environment}
    return ContainerSet(
        name=name,
        node_selector=selector,
        # A restarted role continues the round it was in; if its training has failed, it ends at once.
        retry_strategy=RETRY_ALWAYS,
        pod_spec_patch=resources({"main-ai-engine": engine}),
        volumes=[*shared_volumes(partner_path), *volumes, platform_vars_volume()],
        inputs=list(inputs) or None,
        init_containers=[
            UserContainer(
                name="preparation",
                image=STEP_RUNNER_IMAGE,
                args=preparation,
                volume_mounts=[*mounts, *preparation_mounts],
            )
        ],
        outputs=[error_message(), *outputs],
        containers=[
            ContainerNode(
                name="main",
                image=FEDERATED_MANAGER_IMAGE,
                args=args,
                env=[EnvVar(name=key, value=value) for key, value in variables.items()],
                volume_mounts=mounts,
            ),
            ContainerNode(name="main-ai-engine", image=engine.image, volume_mounts=[*mounts, platform_vars_mount]),
        ],
    )


def _engine_linkage(engine: AIEngine) -> dict[str, str]:
    """Return the variables with which a manager drives its AI engine; times in seconds."""
    own = {
        "CLIENT_HOST": AI_ENGINE_HOST,
        "SERVER_HOST": CALLBACK_HOST,
        "PING_URL": platform_vars("ApiPingUrl"),
        "RUN_URL": platform_vars("ApiRunUrl"),
        "END_URL": platform_vars("ApiEndUrl"),
        "CALLBACK_URL": parameter("platform_processorResourceManagerCallbackUrl"),
        "MAX_ITERATION_TIME": engine.parameter("container-version-max-iteration-time"),
        "MAX_INITIALIZATION_TIME": str(MAX_INITIALIZATION_SECONDS),
        "MAX_FINALIZATION_TIME": str(MAX_FINALIZATION_SECONDS),
        "MAX_FINALIZATION_RETRIES": str(MAX_FINALIZATION_RETRIES),
    }
    return {f"AI_ENGINE_LINKAGE_ADAPTER_{name}": value for name, value in own.items()}
