"""The pods of shipped manifests: a step runner beside its AI engines, and the volumes that they share."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hera.workflows import (
    Artifact,
    Container,
    ContainerNode,
    ContainerSet,
    Parameter,
    RetryStrategy,
    UserContainer,
)
from hera.workflows.models import (
    ConfigMapVolumeSource,
    EmptyDirVolumeSource,
    HostPathVolumeSource,
    ValueFrom,
    Volume,
    VolumeMount,
)

from templates.actions import Action, arguments, change_api_host_and_port
from templates.parameters import STEP_RUNNER_IMAGE, AIEngine, parameter, platform_vars
from templates.placement import Placement, node_selector

ERROR_MESSAGE = "main-error-message"
INPUT_ELEMENTS = "/tmp/input_elements"  # noqa: S108 - paths inside the pod, named by the wire
AI_ELEMENTS = "/tmp/ai_elements"  # noqa: S108
OUTPUT_ELEMENTS = "/tmp/output_elements"  # noqa: S108
PLATFORM_VARS_FILE = "platform_vars.json"
PLATFORM_DATA = f"{INPUT_ELEMENTS}/platform_data"
PARTNER_IMAGES = f"{PLATFORM_DATA}/images"
PARTNER_PATH = parameter("execution_dataPartnerDataPath")

PLATFORM_VARS_SOURCE = f"/platform_vars_source/{PLATFORM_VARS_FILE}"
PLATFORM_VARS_TARGET = "/platform_vars"

SHARED = {"input-elements": INPUT_ELEMENTS, "ai-elements": AI_ELEMENTS, "output-elements": OUTPUT_ELEMENTS}

# A lost pod is retried; work that failed by itself would only fail again, after the same time.
RETRY_LOST_POD = RetryStrategy(limit=2, retry_policy="OnError")
RETRY_ALWAYS = RetryStrategy(limit=2, retry_policy="Always")


def platform_vars_volume() -> Volume:
    """Return the volume with the platform's data for AI engines.

    Each template declares it: Argo adds a Workflow's volumes to a pod only if the containerSet itself mounts them, not
    if one of its containers does.
    """
    return Volume(name="platform-vars", config_map=ConfigMapVolumeSource(name=platform_vars("ConfigMapName")))


def shared_volumes(partner_path: str = "") -> list[Volume]:
    """Return the volumes that a pod's containers share; `partner_path` is the folder of the data partner's files."""
    volumes = [Volume(name=name, empty_dir=EmptyDirVolumeSource()) for name in SHARED]
    if partner_path:
        # A mount inside another volume creates folders there that only root may write to. The step runner, which is not
        # root, writes beside the images, so that folder is a separate volume.
        volumes.append(Volume(name="platform-data", empty_dir=EmptyDirVolumeSource()))
        source = HostPathVolumeSource(path=partner_path, type="Directory")
        volumes.append(Volume(name="partner-data", host_path=source))
    return volumes


def shared_mounts(partner_data: bool) -> list[VolumeMount]:
    """Return the mounts of the pod's shared volumes."""
    mounts = [VolumeMount(name=name, mount_path=path) for name, path in SHARED.items()]
    if partner_data:
        mounts.append(VolumeMount(name="platform-data", mount_path=PLATFORM_DATA))
        mounts.append(VolumeMount(name="partner-data", mount_path=PARTNER_IMAGES, read_only=True))
    return mounts


def step_runner_arguments(actions: Sequence[Action], failure_actions: Sequence[Action]) -> list[str]:
    if not failure_actions:
        return [arguments(actions)]
    return [arguments(actions), "--failure-actions", arguments(failure_actions)]


def error_message() -> Parameter:
    """Return the output that the exit handler reports: the reason that the step wrote for its failure."""
    return Parameter(
        name=ERROR_MESSAGE,
        global_name=ERROR_MESSAGE,
        value_from=ValueFrom(default="Unexpected error", path="/usr/application/error_message.txt"),
    )


def resources(containers: dict[str, AIEngine]) -> str:
    """Return the patch that gives each AI engine the resources of its version in the model registry."""
    patch = [
        {
            "name": container,
            "resources": {
                kind: {name: engine.parameter(f"container-version-{name}-{suffix}") for name in ("memory", "cpu")}
                for kind, suffix in (("requests", "request"), ("limits", "limit"))
            },
        }
        for container, engine in containers.items()
    ]
    return json.dumps({"containers": patch})


def ai_engine_pod(
    *,
    name: str,
    engine: AIEngine,
    placement: Placement,
    actions: Sequence[Action],
    failure_actions: Sequence[Action],
    partner_data: bool = False,
    results: str = "",
) -> ContainerSet:
    """Build a pod of the step runner (`main`) and one AI engine (`main-ai-engine`).

    With `partner_data` both can read the data partner's files. `results` is a path that becomes the output artifact
    `results`.
    """
    mounts = shared_mounts(partner_data)
    engine_mounts = [
        *mounts,
        VolumeMount(
            name="platform-vars",
            mount_path=f"/{PLATFORM_VARS_FILE}",
            sub_path=PLATFORM_VARS_FILE,
            read_only=True,
        ),
    ]
    return ContainerSet(
        name=name,
        node_selector=node_selector(placement),
        retry_strategy=RETRY_LOST_POD,
        pod_spec_patch=resources({"main-ai-engine": engine}),
        volumes=[*shared_volumes(PARTNER_PATH if partner_data else ""), platform_vars_volume()],
        outputs=[error_message(), *([Artifact(name="results", path=results)] if results else [])],
        containers=[
            ContainerNode(
                name="main",
                image=STEP_RUNNER_IMAGE,
                args=step_runner_arguments(actions, failure_actions),
                volume_mounts=mounts,
            ),
            ContainerNode(name="main-ai-engine", image=engine.image, volume_mounts=engine_mounts),
        ],
    )


def joint_pod(
    *,
    name: str,
    engines: Sequence[AIEngine],
    placement: Placement,
    actions: Sequence[Action],
    failure_actions: Sequence[Action],
) -> ContainerSet:
    """Build one pod of the step runner and several AI engines.

    All share the pod's loopback address and its input elements. So each engine listens on its own ports (an init
    container writes them into its platform_vars.json) and has its own folder, named after its descriptor, below the AI
    elements and the output elements; in its container these are mounted at the usual paths.
    """
    mounts = shared_mounts(partner_data=False)
    init = UserContainer(
        name="ports",
        image=STEP_RUNNER_IMAGE,
        args=[arguments([_own_platform_vars(engine) for engine in engines])],
        volume_mounts=[
            VolumeMount(
                name="platform-vars", mount_path=PLATFORM_VARS_SOURCE, sub_path=PLATFORM_VARS_FILE, read_only=True
            ),
            VolumeMount(name="own-platform-vars", mount_path=PLATFORM_VARS_TARGET),
        ],
    )
    runner = ContainerNode(
        name="main",
        image=STEP_RUNNER_IMAGE,
        args=step_runner_arguments(actions, failure_actions),
        volume_mounts=mounts,
    )
    return ContainerSet(
        name=name,
        node_selector=node_selector(placement),
        retry_strategy=RETRY_LOST_POD,
        pod_spec_patch=resources({engine.descriptor: engine for engine in engines}),
        volumes=[
            *shared_volumes(),
            Volume(name="own-platform-vars", empty_dir=EmptyDirVolumeSource()),
            platform_vars_volume(),
        ],
        init_containers=[init],
        outputs=[error_message()],
        containers=[runner, *(_engine_of_several(engine) for engine in engines)],
    )


def _own_platform_vars(engine: AIEngine) -> Action:
    # One file for each AI engine in the volume's folder, so that no folder has to be created.
    target = f"{PLATFORM_VARS_TARGET}/{engine.descriptor}.json"
    return change_api_host_and_port(PLATFORM_VARS_SOURCE, target, engine.own_api_host)


def _engine_of_several(engine: AIEngine) -> ContainerNode:
    return ContainerNode(
        name=engine.descriptor,
        image=engine.image,
        volume_mounts=[
            VolumeMount(name="input-elements", mount_path=INPUT_ELEMENTS, read_only=True),
            VolumeMount(name="ai-elements", mount_path=AI_ELEMENTS, sub_path=engine.descriptor),
            VolumeMount(name="output-elements", mount_path=OUTPUT_ELEMENTS, sub_path=engine.descriptor),
            VolumeMount(
                name="own-platform-vars",
                mount_path=f"/{PLATFORM_VARS_FILE}",
                sub_path=f"{engine.descriptor}.json",
                read_only=True,
            ),
        ],
    )


def step_runner_pod(
    *,
    name: str,
    actions: Sequence[Action],
    artifacts: dict[str, str] | None = None,
    retry: RetryStrategy = RETRY_LOST_POD,
    reports_error: bool = True,
) -> Container:
    """Build a pod on the central node with only the step runner; `artifacts` maps input artifacts to their paths.

    No path may lie in a volume: Argo's init container makes the folders above an artifact for its own user alone, and
    the step runner, which is another user, cannot read them.
    """
    return Container(
        name=name,
        image=STEP_RUNNER_IMAGE,
        args=[arguments(actions)],
        node_selector=node_selector(Placement.CENTRAL),
        retry_strategy=retry,
        inputs=[Artifact(name=artifact, path=path) for artifact, path in (artifacts or {}).items()] or None,
        outputs=[error_message()] if reports_error else None,
    )
