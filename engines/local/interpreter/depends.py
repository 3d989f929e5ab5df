"""The dependencies of a dag task, and whether it may run after them.

Source: https://argo-workflows.readthedocs.io/en/latest/enhanced-depends-logic/.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engines.local.interpreter.conditions import InvalidCondition
from engines.local.interpreter.grammar import InvalidText, Node, read
from engines.local.interpreter.nodes import UNSUCCESSFUL

RESULTS = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", "AnySucceeded", "AllFailed")
_GOOD = frozenset({"Succeeded", "Skipped", "Daemoned", "Continued"})


class Dependency:
    """The condition of one task; without a `tree` all `tasks` must have succeeded."""

    __slots__ = ("tasks", "tree")

    def __init__(self, tasks: Iterable[str], tree: Node | None = None) -> None:
        self.tree = tree
        self.tasks = list(dict.fromkeys(tasks))


def split(word: str) -> tuple[str, str]:
    """Return a word of `depends` as the task's name and the requested result ('' = the default ones)."""
    name, dot, result = word.rpartition(".")
    return (name, result) if dot and result in RESULTS else (word, "")


def dependency_of(task: dict[str, Any]) -> Dependency:
    """Return a task's condition from `depends` or `dependencies`. Raises `InvalidCondition`."""
    if not task.get("depends"):
        return Dependency(str(name) for name in task.get("dependencies") or ())
    try:
        tree = read("depends", str(task["depends"]))
    except InvalidText as error:
        raise InvalidCondition(str(error)) from error
    return Dependency((split(node.parts[0])[0] for node in tree.walk() if node.kind == "word"), tree)


def holds(dependency: Dependency, results: dict[str, set[str]]) -> bool:
    """Return whether a task may run; `results` are those of the tasks it depends on."""
    if dependency.tree is None:
        return all(results.get(name, set()) & _GOOD for name in dependency.tasks)
    return _holds(dependency.tree, results)


def _holds(node: Node, results: dict[str, set[str]]) -> bool:
    if node.kind == "&&":
        return all(_holds(part, results) for part in node.parts)
    if node.kind == "||":
        return any(_holds(part, results) for part in node.parts)
    if node.kind == "!":
        return not _holds(node.parts[0], results)
    name, result = split(node.parts[0])
    had = results.get(name, set())
    return result in had if result else bool(had & _GOOD)


def results_of(phase: str, daemoned: bool, continued: bool, turns: list[str]) -> set[str]:
    """Return the results of an ended task that `depends` may name; `turns` are the phases of a loop's instances."""
    results = {"Errored" if phase == "Error" else phase}
    if daemoned:
        results = {"Daemoned"}
    if continued:
        results.add("Continued")
    if any(turn == "Succeeded" for turn in turns):
        results.add("AnySucceeded")
    if turns and all(turn in UNSUCCESSFUL for turn in turns):
        results.add("AllFailed")
    return results
