"""An execution's Workflow: the Schema's manifest with our name, labels, parameters and callback tokens; pure."""

from __future__ import annotations

import copy
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from engines.base import FEDERATED_ANNOTATION, MANAGED_BY, MANAGED_BY_LABEL, Manifest
from executions.callback_tokens import CALLBACK_TOKEN_ENV, MANAGER_IMAGE, TokenKeys, image_name
from executions.facts import ManagerVariables, Platform, RenderedExecution
from executions.fetched_parameters import STEP_RUNNER_IMAGE, URL_VARIABLE, references
from executions.host_paths import Claims, mounted_read_only, with_claims, without_empty_paths
from executions.parameters import execution_parameters, platform_vars
from policy.parts import (
    PLATFORM_VARS_KEY,
    containers_of,
    fixed_platform_vars_names,
    manager_config_maps,
    manager_role,
    templates_of,
)

EXECUTION_LABEL = "orchestrator/execution"

ConfigMaps = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Rendering:
    """A Workflow ready to be submitted to an engine, and the values of its parameters."""

    name: str
    manifest: Manifest
    parameters: dict[str, str]
    config_maps: ConfigMaps


def workflow_name(execution_id: int, attempt: int) -> str:
    """Name a Workflow; the random suffix keeps names unique when a database is created anew."""
    return f"execution-{execution_id}-{attempt}-{secrets.token_hex(3)}"


def callback_secret_name(name: str) -> str:
    """Name the Secret that holds the callback tokens of the Workflow `name`."""
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
    claims: Claims | None = None,
    transport: Mapping[str, str] | None = None,
) -> Rendering:
    """Render the Workflow of an execution from the manifest its Schema holds.

    `config_map_name` is the fixed name of the ConfigMap with the platform's variables; the Workflow's own when empty.
    `callback_images` name the images (without registry and tag) whose containers get the callback token.
    `managers` are the variables of federated managers; None without federated training.
    `claims` are the PersistentVolumeClaims that hold partners' folders, for pods that may have no hostPath volumes.
    `transport` are variables of the containers with a token: how to reach the orchestrator and the registry.
    """
    chosen_config_map = config_map_name or f"{name}-platform-vars"
    parameters = execution_parameters(execution, platform, chosen_config_map)
    workflow = copy.deepcopy(manifest)
    workflow.pop("status", None)
    workflow["metadata"] = _metadata(workflow.get("metadata") or {}, name, execution.id)
    if managers is not None:
        annotations = workflow["metadata"].get("annotations") or {}
        workflow["metadata"]["annotations"] = {**annotations, FEDERATED_ANNOTATION: str(managers.max_model_bytes)}
    spec = workflow["spec"]
    arguments = spec.get("arguments") or {}
    spec["arguments"] = {**arguments, "parameters": _merged(arguments.get("parameters") or [], parameters)}
    partners_have_paths = any(partner.system_path for partner in execution.partners)
    values = {each["name"]: each.get("value", "") for each in spec["arguments"]["parameters"]}
    without_empty_paths(spec, values, partners_have_paths)
    with_claims(spec, values, execution.partners, claims or {})
    mounted_read_only(spec)
    keys = TokenKeys(spec, [partner.name for partner in execution.partners], execution.federated)
    fetched = references(spec, partial(_is_step_runner, callback_images=callback_images))
    parameters |= fetched
    spec["arguments"]["parameters"] = _merged(spec["arguments"]["parameters"], fetched)
    for template in templates_of(spec):
        for container in containers_of(template):
            if image_name(container) in callback_images:
                _add_callback_token(container, callback_secret_name(name), keys.of(template))
                _add_variables(container, transport or {})
            if _is_step_runner(container, callback_images):
                # This value takes precedence over the manifest's: the token is sent to this address.
                address = {URL_VARIABLE: _parameters_url(platform, execution.id)}
                _add_variables(container, address if fetched or _names(container, URL_VARIABLE) else {})
            if managers is not None and image_name(container) == MANAGER_IMAGE:
                _add_manager_variables(container, managers, callback_secret_name(name))
    content = {PLATFORM_VARS_KEY: json.dumps(platform_vars(platform), indent=2)}
    names = {chosen_config_map, *fixed_platform_vars_names(spec)}
    config_maps = {each: dict(content) for each in sorted(names)}
    if managers is not None:
        config_maps |= {
            each: dict(managers.installed.get(manager_role(each), {})) for each in sorted(manager_config_maps(spec))
        }
    return Rendering(name, workflow, parameters, config_maps)


def _is_step_runner(container: Mapping[str, Any], callback_images: Sequence[str]) -> bool:
    """Return whether a container reads references to parameters and has the token to fetch them."""
    return image_name(container) == STEP_RUNNER_IMAGE and STEP_RUNNER_IMAGE in callback_images


def _parameters_url(platform: Platform, execution_id: int) -> str:
    # `http` as manifests write it: with HTTPS, the callers are told so (runtime.transport).
    return f"http://{platform.orchestrator_api_hostname}/api/executions/{execution_id}/retrieve_workflow_parameter/"


def _metadata(metadata: Mapping[str, Any], name: str, execution_id: int) -> dict[str, Any]:
    kept = {key: _not_ours(value) for key, value in metadata.items() if key in ("namespace", "labels", "annotations")}
    labels = {
        **(kept.get("labels") or {}),
        MANAGED_BY_LABEL: MANAGED_BY,
        EXECUTION_LABEL: str(execution_id),
    }
    return {**kept, "name": name, "labels": labels}


def _not_ours(value: Any) -> Any:
    """Leave out the labels or annotations that only we may set: other programs act on them."""
    if not isinstance(value, dict):
        return value
    return {key: held for key, held in value.items() if not str(key).startswith("orchestrator/")}


def _merged(declared: Sequence[Mapping[str, Any]], ours: Mapping[str, str]) -> list[dict[str, Any]]:
    """Put our parameters after the manifest's; if a name is in both, ours replaces it."""
    kept = [dict(parameter) for parameter in declared if parameter.get("name") not in ours]
    return kept + [{"name": name, "value": value} for name, value in ours.items()]


def _add_callback_token(container: dict[str, Any], secret_name: str, key: str) -> None:
    others = [variable for variable in container.get("env") or [] if variable.get("name") != CALLBACK_TOKEN_ENV]
    reference = {"secretKeyRef": {"name": secret_name, "key": str(key)}}
    container["env"] = [*others, {"name": CALLBACK_TOKEN_ENV, "valueFrom": reference}]


def _add_variables(container: dict[str, Any], variables: Mapping[str, str]) -> None:
    """Add variables; if a name is there already, ours replaces it."""
    if variables:
        others = [variable for variable in container.get("env") or [] if variable.get("name") not in variables]
        container["env"] = others + [{"name": name, "value": value} for name, value in variables.items()]


def _names(container: Mapping[str, Any], variable: str) -> bool:
    return any(each.get("name") == variable for each in container.get("env") or [])


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
