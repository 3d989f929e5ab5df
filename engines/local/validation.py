"""Refuse manifests that this engine cannot run, naming the first field, and prepare the others.

A manifest that Argo accepts and fails later (`invalid spec: …`) is accepted here and fails the same way: see
`interpreter/checks.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import yaml

from engines.base import Manifest, ManifestRejected
from engines.local.fields import ANYTHING, FIELD_PATHS, KINDS, NODE_OPERATORS, OBJECT, REQUIRED, RETRY_POLICIES, TEXT
from engines.local.interpreter.calls import CallError
from engines.local.interpreter.conditions import InvalidCondition
from engines.local.interpreter.depends import dependency_of
from engines.local.interpreter.expressions import problem_of
from engines.local.interpreter.hooks import EXIT
from engines.local.interpreter.retries import LONGEST_SECONDS, factor_of, limit_of, seconds_of
from engines.local.interpreter.tags import tags_in
from engines.local.interpreter.values import shown
from engines.local.names import is_tagged, problems, twins
from engines.local.quantities import bytes_of
from engines.local.volumes import WORKFLOW_CLAIM

# One with tags in its name first.
_TAG = re.compile(r"\{\{(?:[^{}]|\{\{[^{}]*\}\})*\}\}|\{\{.*?\}\}", re.DOTALL)
_DEEPEST = 40


def runnable(manifest: Manifest, name: str) -> dict[str, Any]:
    """Return a manifest prepared for a supervisor, under its name. Raises `ManifestRejected`."""
    _check_expressions(manifest, "", 0)
    _check_object(manifest, "workflow", "")
    spec = manifest.get("spec")
    if not isinstance(spec, dict):
        raise ManifestRejected("a Workflow must have a spec", "/spec")
    if manifest.get("kind", "Workflow") != "Workflow":
        raise ManifestRejected("must be Workflow", "/kind")
    names: set[str] = set()
    templates = []
    for index, template in enumerate(spec.get("templates") or ()):
        pointer = f"/spec/templates/{index}"
        if not isinstance(template.get("name"), str) or not template["name"]:
            raise ManifestRejected("a template must have a name", f"{pointer}/name")
        if template["name"] in names:
            raise ManifestRejected(f"another template already has the name {template['name']}", f"{pointer}/name")
        names.add(template["name"])
        templates.append(_ready_template(template, pointer))
    ready = {**_ready_template(spec, "/spec"), "templates": templates}
    if spec.get("templateDefaults"):
        ready["templateDefaults"] = _ready_template(spec["templateDefaults"], "/spec/templateDefaults")
    _check_number(spec, "activeDeadlineSeconds", "/spec")
    _check_number(spec, "parallelism", "/spec")
    _check_time_to_live(spec.get("ttlStrategy"), "/spec/ttlStrategy")
    claims = spec.get("volumeClaimTemplates") or ()
    if claims:
        own = [{"name": one["metadata"]["name"], WORKFLOW_CLAIM: number} for number, one in enumerate(claims)]
        ready["volumes"] = [*(spec.get("volumes") or ()), *own]
        problem = next(iter(twins(ready)), None)
        if problem:
            raise ManifestRejected(problem[0], "/spec/volumeClaimTemplates")
    metadata = manifest.get("metadata") or {}
    for key in ("labels", "annotations"):
        if metadata.get(key) is not None and not isinstance(metadata[key], dict):
            raise ManifestRejected("must be an object", f"/metadata/{key}")
    return {"metadata": {**metadata, "name": name}, "spec": ready}


def _check_expressions(value: Any, pointer: str, depth: int) -> None:
    if depth > _DEEPEST:
        raise ManifestRejected("the manifest is nested too deeply", pointer)
    if pointer == "/spec/arguments/parameters":
        # Values that users typed are plain text here.
        return
    if isinstance(value, str):
        for tag in tags_in(value):
            if tag.startswith("="):
                _check_expression(tag[1:], pointer)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_expressions(key, pointer, depth)
            _check_expressions(item, f"{pointer}/{_escaped(key)}", depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_expressions(item, f"{pointer}/{index}", depth + 1)


def _check_expression(text: Any, pointer: str) -> None:
    """Refuse an expression that cannot be evaluated; one with tags is checked when they have values."""
    if is_tagged(text):
        return
    problem = problem_of(text) if isinstance(text, str) else "it is not a string"
    if problem:
        raise ManifestRejected(
            f"the expression {shown(text)} cannot be evaluated by the local engine: {problem}", pointer
        )


def _escaped(key: Any) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")


def _check_object(value: Any, kind: str, pointer: str) -> None:
    """Refuse unknown fields of an object, and of the objects in it."""
    if not isinstance(value, dict):
        raise ManifestRejected("must be an object", pointer)
    known = KINDS[kind]
    for key, item in value.items():
        if item is None:
            continue
        if key not in known:
            raise ManifestRejected(f"{key} is not supported by the local engine", f"{pointer}/{_escaped(key)}")
        _check_field(item, known[key], f"{pointer}/{_escaped(key)}")
    for key in REQUIRED.get(kind, ()):
        if value.get(key) is None:
            raise ManifestRejected(f"{key} is missing", f"{pointer}/{key}")
    for problem, place in problems(value, kind, pointer):
        raise ManifestRejected(problem, place)
    check = _CHECKS.get(kind)
    if check is not None:
        check(value, pointer)


def _check_field(value: Any, form: str, pointer: str) -> None:
    if form == ANYTHING:
        return
    if form == "hooks":
        if not isinstance(value, dict):
            raise ManifestRejected("must be an object", pointer)
        for name, hook in value.items():
            _check_object(hook, "hook", f"{pointer}/{_escaped(name)}")
            if name != EXIT and not hook.get("expression"):
                raise ManifestRejected(
                    "a hook that is not named exit must have an expression", f"{pointer}/{_escaped(name)}"
                )
        return
    if form.startswith("["):
        if not isinstance(value, list):
            raise ManifestRejected("must be a list", pointer)
        for index, item in enumerate(value):
            _check_field(item, form[1:-1], f"{pointer}/{index}")
        return
    if form == TEXT:
        if not isinstance(value, str):
            raise ManifestRejected("must be a string", pointer)
        return
    if form == OBJECT:
        if not isinstance(value, dict):
            raise ManifestRejected("must be an object", pointer)
        return
    _check_object(value, form, pointer)


@contextmanager
def _refused_at(pointer: str) -> Iterator[None]:
    """Refuse the field at a pointer whose value cannot be read inside the block."""
    try:
        yield
    except (CallError, ValueError) as error:
        raise ManifestRejected(str(error), pointer) from error


def _check_duration(value: dict[str, Any], key: str, pointer: str) -> None:
    duration = value.get(key)
    if duration is None or is_tagged(duration):
        return
    with _refused_at(f"{pointer}/{key}"):
        seconds_of(duration)


def _check_number(value: dict[str, Any], key: str, pointer: str) -> None:
    number = value.get(key)
    is_number = isinstance(number, int) and not isinstance(number, bool)
    if number is not None and not (is_number and 0 <= number <= LONGEST_SECONDS):
        raise ManifestRejected(f"{key} must be a whole number", f"{pointer}/{key}")


def _check_time_to_live(strategy: Any, pointer: str) -> None:
    if strategy is None:
        return
    if not isinstance(strategy, dict):
        raise ManifestRejected("must be an object", pointer)
    for key in ("secondsAfterCompletion", "secondsAfterSuccess", "secondsAfterFailure"):
        _check_number(strategy, key, pointer)


def _check_set_retry(strategy: dict[str, Any], pointer: str) -> None:
    _check_duration(strategy, "duration", pointer)
    retries = strategy.get("retries")
    if retries is not None and not is_tagged(retries) and not re.fullmatch("[0-9]{1,9}", str(retries)):
        raise ManifestRejected("retries must be a whole number", f"{pointer}/retries")


def _check_container_set(containers: dict[str, Any], pointer: str) -> None:
    """Refuse containers that depend on an unknown container, or on each other."""
    waiting = {one["name"]: set(one.get("dependencies") or ()) for one in containers["containers"]}
    for index, one in enumerate(containers["containers"]):
        for number, name in enumerate(one.get("dependencies") or ()):
            if name not in waiting:
                place = f"{pointer}/containers/{index}/dependencies/{number}"
                raise ManifestRejected(f"the containerSet has no container named {name}", place)
    while waiting:
        free = [name for name, needed in waiting.items() if not needed & waiting.keys()]
        if not free:
            raise ManifestRejected(f"{', '.join(waiting)} depend on each other", f"{pointer}/containers")
        for name in free:
            del waiting[name]


def _check_template(template: dict[str, Any], pointer: str) -> None:
    _check_number(template, "parallelism", pointer)
    _check_duration(template, "activeDeadlineSeconds", pointer)
    _check_duration(template, "timeout", pointer)
    _check_outputs(template, pointer)
    if template.get("synchronization") and (template.get("steps") or template.get("dag")):
        # Only pods take locks; an ignored lock would be worse than none.
        raise ManifestRejected(
            "the local engine does not support locks of steps and dag templates", f"{pointer}/synchronization"
        )
    for index, artifact in enumerate((template.get("outputs") or {}).get("artifacts") or ()):
        if artifact.get("http"):
            raise ManifestRejected(
                "the local engine does not send artifacts to a URL", f"{pointer}/outputs/artifacts/{index}/http"
            )
        if not any(artifact.get(key) for key in ("path", "from", "fromExpression")):
            raise ManifestRejected("an output artifact must have a path", f"{pointer}/outputs/artifacts/{index}/path")


def _check_outputs(template: dict[str, Any], pointer: str) -> None:
    """Refuse expressions for outputs of a pod: only steps and dag templates have nodes to choose from."""
    if template.get("steps") or template.get("dag"):
        return
    outputs = template.get("outputs") or {}
    for index, parameter in enumerate(outputs.get("parameters") or ()):
        if (parameter.get("valueFrom") or {}).get("expression") is not None:
            place = f"{pointer}/outputs/parameters/{index}/valueFrom/expression"
            raise ManifestRejected("only outputs of steps and dag templates may have an expression", place)


def _check_container(container: dict[str, Any], pointer: str) -> None:
    limits = (container.get("resources") or {}).get("limits") or {}
    for resource in ("memory", "ephemeral-storage"):
        _check_quantity(limits.get(resource), f"{pointer}/resources/limits/{resource}")


def _check_quantity(quantity: Any, pointer: str) -> None:
    if quantity in (None, "") or is_tagged(quantity):
        return
    with _refused_at(pointer):
        bytes_of(quantity)


def _check_empty_dir(volume: dict[str, Any], pointer: str) -> None:
    _check_quantity(volume.get("sizeLimit"), f"{pointer}/sizeLimit")


def _check_hook(hook: dict[str, Any], pointer: str) -> None:
    if hook.get("expression"):
        _check_expression(hook["expression"], f"{pointer}/expression")


def _check_value_from(source: dict[str, Any], pointer: str) -> None:
    if source.get("expression") is not None:
        _check_expression(source["expression"], f"{pointer}/expression")


def _check_artifact(artifact: dict[str, Any], pointer: str) -> None:
    if artifact.get("fromExpression") is not None:
        _check_expression(artifact["fromExpression"], f"{pointer}/fromExpression")


def _check_retry(strategy: dict[str, Any], pointer: str) -> None:
    if strategy.get("expression") is not None:
        _check_expression(strategy["expression"], f"{pointer}/expression")
    policy = strategy.get("retryPolicy")
    if policy and policy not in RETRY_POLICIES:
        raise ManifestRejected(f"retryPolicy must be one of {', '.join(RETRY_POLICIES)}", f"{pointer}/retryPolicy")
    if not is_tagged(strategy.get("limit")):
        with _refused_at(f"{pointer}/limit"):
            limit_of(strategy)


def _check_backoff(backoff: dict[str, Any], pointer: str) -> None:
    for key in ("duration", "maxDuration", "cap"):
        _check_duration(backoff, key, pointer)
    if not is_tagged(backoff.get("factor")):
        with _refused_at(f"{pointer}/factor"):
            factor_of(backoff)


def _check_probe(probe: dict[str, Any], pointer: str) -> None:
    for key in ("initialDelaySeconds", "periodSeconds"):
        _check_number(probe, key, pointer)


def _check_suspend(suspend: dict[str, Any], pointer: str) -> None:
    _check_duration(suspend, "duration", pointer)


def _check_task(task: dict[str, Any], pointer: str) -> None:
    if task.get("depends"):
        try:
            dependency_of(task)
        except InvalidCondition as error:
            raise ManifestRejected(f"depends cannot be read: {error}", f"{pointer}/depends") from error


def _check_field_ref(reference: dict[str, Any], pointer: str) -> None:
    if reference.get("fieldPath") not in FIELD_PATHS:
        raise ManifestRejected(f"fieldPath must be one of {', '.join(FIELD_PATHS)}", f"{pointer}/fieldPath")


def _check_volume(volume: dict[str, Any], pointer: str) -> None:
    kinds = [kind for kind in ("emptyDir", "configMap", "secret", "hostPath") if volume.get(kind) is not None]
    if len(kinds) != 1:
        raise ManifestRejected("a volume must be one of emptyDir, configMap, secret and hostPath", pointer)


def _check_env_from(source: dict[str, Any], pointer: str) -> None:
    if (source.get("configMapRef") is None) == (source.get("secretRef") is None):
        raise ManifestRejected("envFrom must name a configMapRef or a secretRef", pointer)


def _check_requirement(requirement: dict[str, Any], pointer: str) -> None:
    if requirement["operator"] not in NODE_OPERATORS:
        raise ManifestRejected(f"operator must be one of {', '.join(NODE_OPERATORS)}", f"{pointer}/operator")
    values = requirement.get("values") or []
    if not isinstance(values, list):
        raise ManifestRejected("must be a list", f"{pointer}/values")
    if bool(values) == requirement["operator"].endswith(("Exists", "Exist")):
        some = "no" if values else "some"
        raise ManifestRejected(f"the operator {requirement['operator']} must have {some} values", f"{pointer}/values")


def _check_preferred(term: dict[str, Any], pointer: str) -> None:
    if not isinstance(term["weight"], int):
        raise ManifestRejected("weight must be a number", f"{pointer}/weight")


def _check_memoize(memoize: dict[str, Any], pointer: str) -> None:
    _check_duration(memoize, "maxAge", pointer)


def _check_pod_resources(resources: dict[str, Any], pointer: str) -> None:
    _check_quantity((resources.get("limits") or {}).get("memory"), f"{pointer}/limits/memory")


_CHECKS = {
    "containerSet": _check_container_set,
    "preferredTerm": _check_preferred,
    "nodeRequirement": _check_requirement,
    "podResources": _check_pod_resources,
    "memoize": _check_memoize,
    "hook": _check_hook,
    "valueFrom": _check_value_from,
    "artifact": _check_artifact,
    "template": _check_template,
    "container": _check_container,
    "script": _check_container,
    "userContainer": _check_container,
    "setContainer": _check_container,
    "retryStrategy": _check_retry,
    "setRetryStrategy": _check_set_retry,
    "backoff": _check_backoff,
    "probe": _check_probe,
    "suspend": _check_suspend,
    "task": _check_task,
    "fieldRef": _check_field_ref,
    "volume": _check_volume,
    "emptyDir": _check_empty_dir,
    "envFrom": _check_env_from,
}


def _ready_template(template: dict[str, Any], pointer: str) -> dict[str, Any]:
    """Return a template with a parsed podSpecPatch: tags are replaced inside it only when it runs."""
    text = template.get("podSpecPatch")
    if not text:
        return template
    patch = _parsed_patch(text, f"{pointer}/podSpecPatch")
    _check_object(patch, "podPatch", f"{pointer}/podSpecPatch")
    return {**template, "podSpecPatch": patch}


def _parsed_patch(text: Any, pointer: str) -> dict[str, Any]:
    if isinstance(text, dict):
        return text
    tags: list[str] = []

    def hide(match: re.Match[str]) -> str:
        tags.append(match.group(0))
        return f"tag-{len(tags) - 1}-tag"

    def show(value: Any) -> Any:
        if isinstance(value, dict):
            return {show(key): show(item) for key, item in value.items()}
        if isinstance(value, list):
            return [show(item) for item in value]
        if isinstance(value, str):
            return re.sub(r"tag-(\d+)-tag", lambda match: tags[int(match.group(1))], value)
        return value

    try:
        patch = yaml.safe_load(_TAG.sub(hide, str(text)))
    except yaml.YAMLError as error:
        raise ManifestRejected(f"podSpecPatch cannot be read: {error}", pointer) from error
    if not isinstance(patch, dict):
        raise ManifestRejected("podSpecPatch must be a JSON or YAML object", pointer)
    return cast("dict[str, Any]", show(patch))
