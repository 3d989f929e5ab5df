"""The places of expressions in manifests, and the use of their values there.

`{{=…}}` in a text; `valueFrom.expression` of an output parameter; `fromExpression` of an artifact; `expression` of a
retryStrategy and of a hook. Source: https://argo-workflows.readthedocs.io/en/latest/variables/#expression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from engines.local.interpreter.evaluation import FUNCTIONS, Evaluation, expression_of
from engines.local.interpreter.grammar import Node
from engines.local.interpreter.times import METHODS
from engines.local.interpreter.values import InvalidExpression, json_text, shown
from engines.local.interpreter.visible import ROOTS, Entry, Names

MAX_RESULT = 1 << 20
# Fields that hold an expression without braces.
FIELDS = ("expression", "fromExpression")


def text_value(text: str, names: Names) -> str:
    """Return an expression's value as it is written into a text: a string as it is, else JSON. Raises
    `InvalidExpression`."""
    value = _value(text, names)
    if value is None:
        raise InvalidExpression(f'failed to evaluate expression "{text}"')
    result = value if isinstance(value, str) else json_text(value)
    if len(result) > MAX_RESULT:
        raise InvalidExpression(f"its value has more than {MAX_RESULT} characters")
    return result


def holds(text: str, names: Names) -> bool:
    """Return whether an expression is true. Raises `InvalidExpression`."""
    value = _value(text, names)
    if not isinstance(value, bool):
        raise InvalidExpression(f"unable to cast expression result {shown(value)} to bool")
    return value


def artifact_tag(text: str, names: Names) -> str:
    """Return the tag of the artifact that an expression chooses. Raises `InvalidExpression`."""
    evaluation = Evaluation(names)
    found = _guarded(lambda: evaluation.chosen(expression_of(text)))
    if not isinstance(found, Entry):
        raise InvalidExpression(f"{shown(found)} is not an artifact")
    return found.tag


def _value(text: str, names: Names) -> Any:
    evaluation = Evaluation(names)
    return _guarded(lambda: evaluation.value(expression_of(text), {}))


def _guarded(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except RecursionError as error:
        raise InvalidExpression("its values are nested too deeply") from error


def problem_of(text: str) -> str:
    """Return why an expression can never be evaluated, or ''."""
    try:
        tree = expression_of(text)
    except InvalidExpression as error:
        return str(error)
    return next(_problems(tree, frozenset()), "")


def _problems(node: Node, local: frozenset[str]) -> Iterator[str]:
    """Yield a message for each unknown name and function."""
    parts = [part for part in node.parts if isinstance(part, Node)]
    if node.kind == "let":
        yield from _problems(node.parts[1], local)
        yield from _problems(node.parts[2], local | {node.parts[0]})
        return
    if node.kind == "name" and node.parts[0] not in local and node.parts[0] not in (*ROOTS, "$env"):
        yield f"unknown name {node.parts[0]}"
    elif node.kind == "pipe" and node.parts[2] not in FUNCTIONS:
        yield f"unknown function {node.parts[2]}"
    elif node.kind == "call":
        callee = parts.pop(0)
        if callee.kind == "name":
            yield from [f"unknown function {callee.parts[0]}"] * (callee.parts[0] not in FUNCTIONS)
        elif callee.kind != "member":
            yield "only functions can be called"
        elif callee.parts[0].kind == "name" and callee.parts[0].parts[0] == "sprig":
            name = f"sprig.{callee.parts[1]}"
            yield from [f"unknown function {name}"] * (name not in FUNCTIONS)
        else:
            yield from [f"unknown method {callee.parts[1]}"] * (callee.parts[1] not in METHODS)
            parts.append(callee.parts[0])
    for part in parts:
        yield from _problems(part, local)


def references(value: Any) -> Iterator[str]:
    """Yield the tags that the expressions within a value name literally."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _asked_for(item) if key in FIELDS and isinstance(item, str) else references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def references_of(text: str) -> Iterator[str]:
    """Yield the tags that one expression names; none where it cannot be read."""
    yield from _asked_for(text)


def _asked_for(text: str) -> Iterator[str]:
    try:
        tree = expression_of(text)
    except InvalidExpression:
        return
    yield from _tags(tree)


def _tags(node: Node) -> Iterator[str]:
    tag = _written_out(node)
    if tag:
        yield from ROOTS if tag == "$env" else (tag,)
        return
    for part in node.parts:
        if isinstance(part, Node):
            yield from _tags(part)


def _written_out(node: Node) -> str:
    """Return the tag of a chain of names, '' where it is none."""
    if node.kind == "name":
        return str(node.parts[0])
    if node.kind in ("member", "member_if"):
        holder, key = _written_out(node.parts[0]), node.parts[1]
    elif node.kind in ("index", "index_if") and node.parts[1].kind == "value":
        holder, key = _written_out(node.parts[0]), node.parts[1].parts[0]
    else:
        return ""
    return f"{holder}.{key}" if holder else ""


def is_asked_for(tag: str, asked: frozenset[str] | Mapping[str, Any]) -> bool:
    """Return whether a tag is one of the named ones, or below one of them."""
    parts = tag.split(".")
    return any(".".join(parts[:end]) in asked for end in range(len(parts), 0, -1))
