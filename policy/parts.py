"""The templates and containers of a manifest, as they stand in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from policy.outline import as_list, as_mapping

PLATFORM_VARS_KEY = "platform_vars.json"
# ConfigMaps of federated managers; the part after the role names an installation.
_OF_MANAGERS = re.compile(r"federated-learning-manager-(client|server)(-[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?)?")


def fixed_platform_vars_names(spec: Mapping[str, Any]) -> set[str]:
    """Return the ConfigMap names that a manifest writes out itself and mounts the platform's variables from.

    The orchestrator makes a ConfigMap of each such name.
    """
    templates = list(templates_of(spec))
    mounted = {
        as_mapping(mount).get("name")
        for template in templates
        for holder in (*containers_of(template), as_mapping(template.get("containerSet")))
        for mount in as_list(holder.get("volumeMounts"))
        if as_mapping(mount).get("subPath") == PLATFORM_VARS_KEY
    }
    found = set()
    for holder in (spec, *templates):
        for volume in as_list(holder.get("volumes")):
            name = as_mapping(as_mapping(volume).get("configMap")).get("name")
            if as_mapping(volume).get("name") in mounted and isinstance(name, str) and name and "{{" not in name:
                found.add(name)
    return found


def manager_role(config_map: str) -> str:
    """Return the role whose variables a ConfigMap of this name holds, `client` or `server`; '' for any other."""
    match = _OF_MANAGERS.fullmatch(config_map)
    return match[1] if match else ""


def manager_config_maps(spec: Mapping[str, Any]) -> set[str]:
    """Return the ConfigMaps of federated managers that a manifest's containers take variables from.

    The orchestrator makes those that the installation does not provide.
    """
    found = set()
    for template in templates_of(spec):
        for container in containers_of(template):
            sources = [as_mapping(each).get("configMapRef") for each in as_list(container.get("envFrom"))]
            values = [as_mapping(as_mapping(each).get("valueFrom")) for each in as_list(container.get("env"))]
            sources += [value.get("configMapKeyRef") for value in values]
            found |= {name for source in sources if isinstance(name := as_mapping(source).get("name"), str)}
    return {name for name in found if manager_role(name)}


def templates_of(spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every template of a Workflow's spec, its defaults and those within steps included."""
    roots = [*as_list(spec.get("templates")), spec.get("templateDefaults")]
    while roots:
        template = roots.pop()
        if isinstance(template, dict):
            yield template
            steps = [step for group in as_list(template.get("steps")) for step in as_list(group)]
            tasks = as_list(as_mapping(template.get("dag")).get("tasks"))
            roots += [as_mapping(step).get("inline") for step in (*steps, *tasks)]


def containers_of(template: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every container of a template."""
    grouped = as_list(as_mapping(template.get("containerSet")).get("containers"))
    beside = [*as_list(template.get("initContainers")), *as_list(template.get("sidecars"))]
    for container in (template.get("container"), template.get("script"), *beside, *grouped):
        if isinstance(container, dict):
            yield container
