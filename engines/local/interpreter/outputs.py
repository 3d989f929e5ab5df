"""Outputs of ended nodes for later ones: `steps.x.outputs…`, `workflow.outputs…`, and lists for loops."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from engines.local.interpreter.calls import ABSENT, Artifact, CallError, chosen_artifact
from engines.local.interpreter.nodes import Node
from engines.local.interpreter.tags import Scope, Unresolved, render, text_of
from engines.local.interpreter.texts import compact_json, parsed_json


def publish(prefix: str, node: Node, values: dict[str, str], artifacts: dict[str, Artifact]) -> None:
    """Add the tags of an ended node, as `prefix.status` and so on."""
    values[f"{prefix}.id"] = node["id"]
    values[f"{prefix}.status"] = node["phase"]
    values[f"{prefix}.startedAt"] = node["startedAt"]
    values[f"{prefix}.finishedAt"] = node["finishedAt"] or ""
    if node.get("hostNodeName"):
        values[f"{prefix}.hostNodeName"] = node["hostNodeName"]
    if node.get("podIP"):
        values[f"{prefix}.ip"] = node["podIP"]
    outputs = node.get("outputs")
    if not outputs:
        return
    for key in ("exitCode", "result"):
        if key in outputs:
            values[f"{prefix}.outputs.{key}"] = outputs[key]
    if "exitCode" in outputs:
        values[f"{prefix}.exitCode"] = outputs["exitCode"]
    _publish_declared(prefix, outputs, values, artifacts)


def publish_to_hooks(prefix: str, node: Node, values: dict[str, str], artifacts: dict[str, Artifact]) -> None:
    """Add the tags of an ended node that its own hooks see: its phase, and its declared outputs."""
    values[f"{prefix}.status"] = node["phase"]
    _publish_declared(prefix, node.get("outputs") or {}, values, artifacts)


def _publish_declared(
    prefix: str, outputs: dict[str, Any], values: dict[str, str], artifacts: dict[str, Artifact]
) -> None:
    for parameter in outputs.get("parameters", ()):
        if "value" in parameter:
            values[f"{prefix}.outputs.parameters.{parameter['name']}"] = parameter["value"]
    for artifact in outputs.get("artifacts", ()):
        artifacts[f"{prefix}.outputs.artifacts.{artifact['name']}"] = artifact


def publish_loop(prefix: str, nodes: list[Node], values: dict[str, str], declared: Iterable[str] = ()) -> None:
    """Add the gathered outputs of a loop's instances that succeeded, in the order of its items.

    `declared` are the names of parameters that get a list even where no instance has a value.
    """
    parameters: dict[str, list[str]] = {name: [] for name in declared}
    rows: list[dict[str, str]] = []
    results: list[Any] = []
    exit_codes: list[str] = []
    for node in nodes:
        outputs = node.get("outputs") or {}
        if "exitCode" in outputs:
            exit_codes.append(outputs["exitCode"])
        if node["phase"] != "Succeeded":
            continue
        row = {parameter["name"]: parameter.get("value", "") for parameter in outputs.get("parameters", ())}
        if row:
            rows.append(row)
        for name, value in row.items():
            parameters.setdefault(name, []).append(value)
        if "result" in outputs:
            results.append(_parsed(outputs["result"]))
    for name, column in parameters.items():
        values[f"{prefix}.outputs.parameters.{name}"] = compact_json(_as_items(column))
    values[f"{prefix}.outputs.parameters"] = compact_json(rows)
    values[f"{prefix}.outputs.result"] = compact_json(results)
    values[f"{prefix}.outputs.exitCode"] = compact_json(exit_codes)


def _as_items(column: list[str]) -> list[Any]:
    """Return texts as JSON values if all hold objects or lists, so that they can be a `withParam`."""
    parsed = [_parsed(text) for text in column]
    return parsed if all(isinstance(value, dict | list) for value in parsed) else list(column)


def _parsed(text: str) -> Any:
    try:
        return parsed_json(text)
    except ValueError:
        return text


def publish_skipped(prefix: str, template: dict[str, Any], values: dict[str, str], absent: set[str]) -> None:
    """Add the outputs of a node that did not run: the defaults that its template declares for them.

    Those without a default become `absent`: an argument that is only such a tag counts as not given.
    """
    for parameter in (template.get("outputs") or {}).get("parameters") or ():
        tag = f"{prefix}.outputs.parameters.{parameter['name']}"
        default = (parameter.get("valueFrom") or {}).get("default")
        if default is None:
            absent.add(tag)
        else:
            values[tag] = text_of(default)


def composite_outputs(
    template: dict[str, Any], scope: Scope, artifacts: dict[str, Artifact], absent: Collection[str] = ()
) -> dict[str, list[dict[str, Any]]]:
    """Return the outputs of a steps or dag template. Raises `CallError`."""
    declared = template.get("outputs") or {}
    outputs: dict[str, list[dict[str, Any]]] = {}
    for parameter in declared.get("parameters") or ():
        source = parameter.get("valueFrom") or {}
        try:
            value = _composite_value(parameter, source, scope)
        except Unresolved as error:
            if source.get("default") is None:
                if error.tag in absent:
                    asked = source.get("parameter", parameter.get("value"))
                    said = f'output parameter "{parameter["name"]}": "{asked}" is {ABSENT}'
                    raise CallError(said) from error
                raise CallError(f"outputs.parameters.{parameter['name']}: {error}") from error
            value = text_of(source["default"])
        shown = {key: given for key, given in parameter.items() if key != "valueFrom"}
        outputs.setdefault("parameters", []).append({**shown, "value": value})
    for artifact in declared.get("artifacts") or ():
        found = _composite_artifact(artifact, artifacts, scope)
        if found is None:
            continue
        entry = {key: value for key, value in found.items() if key not in ("name", "globalName")}
        entry["name"] = artifact["name"]
        if artifact.get("globalName"):
            entry["globalName"] = artifact["globalName"]
        outputs.setdefault("artifacts", []).append(entry)
    return outputs


def _composite_value(parameter: dict[str, Any], source: dict[str, Any], scope: Scope) -> str:
    if source.get("expression"):
        return scope.lookup(f"={source['expression']}")
    text = source.get("parameter", parameter.get("value"))
    return render(text_of("" if text is None else text), scope.lookup)


def _composite_artifact(artifact: Artifact, artifacts: dict[str, Artifact], scope: Scope) -> Artifact | None:
    """Return the artifact of an output, None for one that is optional. Raises `CallError`."""
    try:
        source = chosen_artifact(artifact, artifacts, scope)
        if found := artifacts.get(source):
            return found
        raise Unresolved(source)
    except Unresolved as error:
        if artifact.get("optional"):
            return None
        raise CallError(f"outputs.artifacts.{artifact['name']}: {error}") from error


def publish_globals(outputs: dict[str, Any], values: dict[str, str], artifacts: dict[str, Artifact]) -> None:
    """Add the outputs that have a `globalName` to the Workflow's own."""
    for parameter in outputs.get("parameters", ()):
        if parameter.get("globalName") and "value" in parameter:
            values[f"workflow.outputs.parameters.{parameter['globalName']}"] = parameter["value"]
    for artifact in outputs.get("artifacts", ()):
        if artifact.get("globalName"):
            artifacts[f"workflow.outputs.artifacts.{artifact['globalName']}"] = artifact
