"""An execution's Workflow: the Schema's manifest with our name, labels, parameters and callback token; pure."""

from __future__ import annotations

import copy
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engines.base import MANAGED_BY, MANAGED_BY_LABEL, Manifest
from executions.facts import ManagerVariables, Platform, RenderedExecution
from executions.host_paths import without_empty_paths
from executions.parameters import execution_parameters, platform_vars

EXECUTION_LABEL = "orchestrator/execution"
CALLBACK_TOKEN_ENV = "ORCHESTRATOR_CALLBACK_TOKEN"  # noqa: S105 - the variable's name, not its value
CALLBACK_TOKEN_KEY = "token"  # noqa: S105
MANAGER_IMAGE = "federated-learning-manager"
MODEL_SIZE_ANNOTATION = "orchestrator/max-model-bytes"
PLATFORM_VARS_KEY = "platform_vars.json"

ConfigMaps = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Rendering:
    """A Workflow ready to be handed to an engine, and what its parameters came to."""

    name: str
    manifest: Manifest
    parameters: dict[str, str]
    config_maps: ConfigMaps


def workflow_name(execution_id: int, attempt: int) -> str:
    """Name a Workflow; the random end keeps names apart over re-created databases."""
    return f"execution-{execution_id}-{attempt}-{secrets.token_hex(3)}"


def callback_secret_name(name: str) -> str:
    """Name the Secret that holds the callback token of the Workflow `name`."""
    return f"{name}-callback"


def render(
    *,
    manifest: Manifest,
    execution: RenderedExecution,
    platform: Platform,
    name: str,
    config_map_name: str = "",
    callback_images: Sequence[str] = (),
    managers: ManagerVariables | None = None,
    transport: Mapping[str, str] | None = None,
) -> Rendering:
    """Render the Workflow of an execution from the manifest its Schema holds.

    `config_map_name` is the fixed name of the ConfigMap with the platform's variables; the Workflow's own when empty.
    `callback_images` name the images (without registry and tag) whose containers get the callback token.
    `managers` is what federated managers find in their environment; None where the execution trains alone.
    `transport` is what those with a token find in theirs: how the orchestrator and the registry are spoken to.
    """
    chosen_config_map = config_map_name or f"{name}-platform-vars"
    parameters = execution_parameters(execution, platform, chosen_config_map)
    workflow = copy.deepcopy(manifest)
    workflow.pop("status", None)
    workflow["metadata"] = _metadata(workflow.get("metadata") or {}, name, execution.id)
    if managers is not None:
        annotations = workflow["metadata"].get("annotations") or {}
        workflow["metadata"]["annotations"] = {**annotations, MODEL_SIZE_ANNOTATION: str(managers.max_model_bytes)}
    spec = workflow["spec"]
    arguments = spec.get("arguments") or {}
    spec["arguments"] = {**arguments, "parameters": _merged(arguments.get("parameters") or [], parameters)}
    partners_have_paths = any(partner.system_path for partner in execution.partners)
    without_empty_paths(spec, {each["name"]: each.get("value", "") for each in spec["arguments"]["parameters"]},
                        partners_have_paths)  # fmt: skip
    for container in _containers(spec):
        if _image_name(container) in callback_images:
            _add_callback_token(container, callback_secret_name(name))
            _add_variables(container, transport or {})
        if managers is not None and _image_name(container) == MANAGER_IMAGE:
            _add_manager_variables(container, managers, callback_secret_name(name))
    content = {PLATFORM_VARS_KEY: json.dumps(platform_vars(platform), indent=2)}
    names = {chosen_config_map, *_fixed_platform_vars_names(spec)}
    return Rendering(name, workflow, parameters, {each: dict(content) for each in sorted(names)})


def _metadata(metadata: Mapping[str, Any], name: str, execution_id: int) -> dict[str, Any]:
    kept = {key: value for key, value in metadata.items() if key in ("namespace", "labels", "annotations")}
    labels = {
        **(metadata.get("labels") or {}),
        MANAGED_BY_LABEL: MANAGED_BY,
        EXECUTION_LABEL: str(execution_id),
    }
    return {**kept, "name": name, "labels": labels}


def _merged(declared: Sequence[Mapping[str, Any]], ours: Mapping[str, str]) -> list[dict[str, Any]]:
    """Put ours after what the manifest declares itself; on a clash ours stands alone."""
    kept = [dict(parameter) for parameter in declared if parameter.get("name") not in ours]
    return kept + [{"name": name, "value": value} for name, value in ours.items()]


def _templates(spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    roots = [*(spec.get("templates") or []), spec.get("templateDefaults")]
    while roots:
        template = roots.pop()
        if not isinstance(template, dict):
            continue
        yield template
        steps = [step for group in template.get("steps") or [] for step in (group if isinstance(group, list) else [])]
        tasks = (template.get("dag") or {}).get("tasks") or []
        roots += [step.get("inline") for step in [*steps, *tasks] if isinstance(step, dict)]


def _containers(spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for template in _templates(spec):
        grouped = (template.get("containerSet") or {}).get("containers") or []
        single = [template.get("container"), template.get("script")]
        beside = [*(template.get("initContainers") or []), *(template.get("sidecars") or [])]
        yield from (container for container in [*single, *beside, *grouped] if isinstance(container, dict))


def _image_name(container: Mapping[str, Any]) -> str:
    """Return an image's name without registry, tag and digest."""
    return str(container.get("image", "")).rpartition("/")[2].partition("@")[0].partition(":")[0]


def _add_callback_token(container: dict[str, Any], secret_name: str) -> None:
    others = [variable for variable in container.get("env") or [] if variable.get("name") != CALLBACK_TOKEN_ENV]
    reference = {"secretKeyRef": {"name": secret_name, "key": CALLBACK_TOKEN_KEY}}
    container["env"] = [*others, {"name": CALLBACK_TOKEN_ENV, "valueFrom": reference}]


def _add_variables(container: dict[str, Any], variables: Mapping[str, str]) -> None:
    """Add variables; on a clash ours stands alone."""
    if variables:
        others = [variable for variable in container.get("env") or [] if variable.get("name") not in variables]
        container["env"] = others + [{"name": name, "value": value} for name, value in variables.items()]


def _add_manager_variables(container: dict[str, Any], variables: ManagerVariables, secret_name: str) -> None:
    env = [each for each in container.get("env") or [] if each.get("name") not in variables.chosen]
    own = {each.get("name") for each in env}
    given = dict(variables.channel if container.get("envFrom") else {**variables.channel, **variables.defaults})
    given = {name: value for name, value in given.items() if name not in own} | dict(variables.chosen)
    env += [{"name": name, "value": value} for name, value in given.items()]
    env += [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret_name, "key": variable}}}
        for variable in variables.secret
        if variable not in own
    ]
    container["env"] = env


def _fixed_platform_vars_names(spec: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ConfigMap names that a manifest writes out itself and mounts the platform's variables from."""
    mounted = {
        mount.get("name")
        for container in _containers(spec)
        for mount in container.get("volumeMounts") or []
        if mount.get("subPath") == PLATFORM_VARS_KEY
    } | {
        mount.get("name")
        for template in _templates(spec)
        for mount in (template.get("containerSet") or {}).get("volumeMounts") or []
        if mount.get("subPath") == PLATFORM_VARS_KEY
    }
    volumes = [*(spec.get("volumes") or [])]
    for template in _templates(spec):
        volumes += template.get("volumes") or []
    for volume in volumes:
        name = (volume.get("configMap") or {}).get("name", "")
        if volume.get("name") in mounted and name and "{{" not in name:
            yield name
