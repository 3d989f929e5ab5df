"""Call a template: its caller, its arguments, and the values of its inputs."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from engines.local.interpreter.expressions import artifact_tag
from engines.local.interpreter.tags import Scope, Unresolved, compiled, fill, text_of
from engines.local.interpreter.values import InvalidExpression

if TYPE_CHECKING:
    from engines.local.interpreter.nodes import Node

Artifact = dict[str, Any]
ABSENT = "an absent optional (skipped/omitted node output with no default)"
# Fields of a template that place its pods; templates that it calls inherit them unless they set their own.
PLACES = ("nodeSelector", "affinity")
ConfigMaps = Mapping[str, Mapping[str, str]]


class CallError(Exception):
    """A template cannot be called with these arguments; the text becomes the node's message."""


class Owner:
    """The caller of a template, which waits for its node to end."""

    def child_done(self, node: Node) -> None:
        """Handle the end of a called node."""


class Call:
    """One call of a template."""

    __slots__ = (
        "absent",
        "artifacts",
        "boundary",
        "capture",
        "depth",
        "display",
        "flag",
        "local",
        "name",
        "on_exit",
        "outer",
        "owner",
        "parameters",
        "placement",
        "template",
    )

    def __init__(
        self,
        name: str,
        display: str,
        template: dict[str, Any],
        owner: Owner,
        *,
        parameters: dict[str, str] | None = None,
        artifacts: dict[str, Artifact] | None = None,
        boundary: str = "",
        on_exit: bool = False,
        depth: int = 0,
        capture: bool = False,
        flag: dict[str, bool] | None = None,
        placement: dict[str, Any] | None = None,
        outer: Sequence[Mapping[str, str]] = (),
        absent: Collection[str] = (),
        local: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.display = display
        self.template = template
        self.owner = owner
        self.parameters = parameters or {}
        self.artifacts = artifacts or {}
        self.boundary = boundary
        self.on_exit = on_exit
        self.depth = depth
        self.capture = capture
        self.flag = flag
        # The placement of pods inherited from the calling template.
        self.placement = placement or {}
        # The tags around an inline template.
        self.outer = outer
        # Parameters whose argument is the output of a node that did not run, without a default.
        self.absent = absent
        self.local = local or {}


class Bound:
    """The inputs of one call: as the node shows them, their tags, and the artifacts."""

    __slots__ = ("artifacts", "shown", "values")

    def __init__(self, shown: dict[str, Any], values: dict[str, str], artifacts: dict[str, Artifact]) -> None:
        self.shown = shown
        self.values = values
        self.artifacts = artifacts


def value_from(parameter: Mapping[str, Any], config_maps: ConfigMaps) -> str | None:
    """Return the value of a parameter's `valueFrom`, None where it has none. Raises `CallError`.

    A ConfigMap is one that travels with the Workflow; without the key the default is used, else it is an error.
    """
    source = parameter.get("valueFrom") or {}
    reference = source.get("configMapKeyRef")
    if reference:
        found = config_maps.get(text_of(reference["name"]), {}).get(text_of(reference["key"]))
        if found is not None:
            return found
        if source.get("default") is None and not reference.get("optional"):
            place = f"{reference['name']}/{reference['key']}"
            raise CallError(f"parameter {parameter['name']}: no ConfigMap of this Workflow has the key {place}")
    default = source.get("default")
    if default is not None:
        return text_of(default)
    return "" if reference else None


def bind(
    call: Call,
    workflow_parameters: dict[str, str],
    scope: Scope,
    tags: frozenset[str],
    config_maps: ConfigMaps = MappingProxyType({}),
) -> Bound:
    """Return a template's inputs for a call; `tags` are those within the template.

    A parameter comes from the call, else from its own value or default, else from the Workflow's argument of the
    same name. Raises `CallError` where none has it.
    """
    declared = call.template.get("inputs") or {}
    shown: dict[str, Any] = {}
    values: dict[str, str] = {}
    for parameter in declared.get("parameters") or ():
        name = parameter["name"]
        value = call.parameters.get(name)
        if value is None:
            value = _own_value(parameter, {} if name in call.absent else workflow_parameters, scope, config_maps)
        if value is None and name in call.absent:
            raise CallError(f"inputs.parameters.{name}: argument references {ABSENT}")
        if value is None:
            raise CallError(f"inputs.parameters.{name} was not supplied")
        values[f"inputs.parameters.{name}"] = value
        entry = {"name": name, "value": value}
        if "default" in parameter:
            entry["default"] = text_of(parameter["default"])
        shown.setdefault("parameters", []).append(entry)
    if values and "inputs.parameters" in tags:
        values["inputs.parameters"] = json.dumps(shown["parameters"], separators=(",", ":"))
    artifacts = _bind_artifacts(call, declared, scope.inside(values), values)
    if artifacts:
        shown["artifacts"] = list(artifacts.values())
    return Bound(shown, values, artifacts)


def _own_value(
    parameter: dict[str, Any], workflow_parameters: dict[str, str], scope: Scope, config_maps: ConfigMaps
) -> str | None:
    for key in ("value", "default"):
        if parameter.get(key) is not None:
            return str(fill(compiled(text_of(parameter[key])), scope.lookup))
    value = value_from(
        {**parameter, "valueFrom": fill(compiled(parameter.get("valueFrom")), scope.lookup)}, config_maps
    )
    return workflow_parameters.get(parameter["name"]) if value is None else value


def _bind_artifacts(call: Call, declared: dict[str, Any], scope: Scope, values: dict[str, str]) -> dict[str, Artifact]:
    bound: dict[str, Artifact] = {}
    for declaration in declared.get("artifacts") or ():
        own = fill(compiled(declaration), scope.lookup)
        name = own["name"]
        given = call.artifacts.get(name)
        if location_of(given or own) is None:
            if own.get("optional"):
                continue
            missing = "was not supplied" if given is None else "missing location information"
            raise CallError(f"inputs.artifacts.{name} {missing}")
        artifact = dict(own)
        if given:
            for kind in LOCATIONS:
                artifact.pop(kind, None)
            artifact.update({kind: given[kind] for kind in (*LOCATIONS, "subPath") if kind in given})
        bound[name] = artifact
        if artifact.get("path"):
            values[f"inputs.artifacts.{name}.path"] = artifact["path"]
    return bound


# Fields of an artifact's location; whatever store they name, the engine uses a folder (see `artifacts.py`).
LOCATIONS = ("raw", "s3", "azure", "gcs", "oss", "hdfs", "artifactory", "http")


def location_of(artifact: Artifact) -> dict[str, Any] | None:
    """Return the location of an artifact, or None where it has none."""
    for kind in LOCATIONS:
        if artifact.get(kind) is not None:
            return {kind: artifact[kind]}
    return None


def prepared(step: dict[str, Any]) -> Any:
    """Return a step or task ready for `fill`: the tags of `from` name artifacts, so they are not filled in."""
    step = dict(step)
    arguments = step.get("arguments")
    if arguments and arguments.get("artifacts"):
        artifacts = [
            {**artifact, "from": _bare(artifact["from"])} if artifact.get("from") else artifact
            for artifact in arguments["artifacts"]
        ]
        step["arguments"] = {**arguments, "artifacts": artifacts}
    return compiled(step)


def _bare(tag: str) -> str:
    return tag.strip().removeprefix("{{").removesuffix("}}").strip()


def chosen_artifact(declared: Artifact, artifacts: dict[str, Artifact], scope: Scope) -> str:
    """Return the tag of the artifact that `from` or `fromExpression` means, '' where there is neither.

    Raises `Unresolved`.
    """
    expression = declared.get("fromExpression")
    if not expression:
        return _bare(str(declared.get("from") or ""))
    try:
        return artifact_tag(str(expression), scope.names(artifacts))
    except InvalidExpression as error:
        raise Unresolved(f"={expression}", f"failed to evaluate expression: {error}") from error


def arguments_of(
    arguments: dict[str, Any] | None, artifacts: dict[str, Artifact], scope: Scope
) -> tuple[dict[str, str], dict[str, Artifact]]:
    """Return the parameters and artifacts of a rendered step's `arguments`; `artifacts` are those that `from` may name.

    Raises `Unresolved`.
    """
    parameters: dict[str, str] = {}
    given: dict[str, Artifact] = {}
    if not arguments:
        return parameters, given
    for parameter in arguments.get("parameters") or ():
        if parameter.get("value") is not None:
            parameters[parameter["name"]] = text_of(parameter["value"])
    for artifact in arguments.get("artifacts") or ():
        source = chosen_artifact(artifact, artifacts, scope)
        if not source:
            given[artifact["name"]] = artifact
        elif source in artifacts:
            part = {"subPath": artifact["subPath"]} if artifact.get("subPath") else {}
            given[artifact["name"]] = {**artifacts[source], **part}
        elif not artifact.get("optional"):
            raise Unresolved(source)
    return parameters, given
