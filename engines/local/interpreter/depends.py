"""What a dag task depends on, and whether it may run once that has ended.

Source: https://argo-workflows.readthedocs.io/en/latest/enhanced-depends-logic/.
"""

from __future__ import annotations

from typing import Any

from engines.local.interpreter.conditions import Expression, evaluated, parsed, words_of
from engines.local.interpreter.nodes import UNSUCCESSFUL

RESULTS = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", "AnySucceeded", "AllFailed")
_OF_FAILURE = frozenset({"Failed", "Errored", "AllFailed", "AnySucceeded"})


class Dependency:
    """The condition of one task."""

    __slots__ = ("expression", "handles", "tasks")

    def __init__(self, expression: Expression | None, tasks: list[str], handles: set[str]) -> None:
        self.expression = expression
        self.tasks = tasks
        self.handles = handles


def split(word: str) -> tuple[str, str]:
    """Return a word of `depends` as the task's name and the result asked for ('' = the usual ones)."""
    name, dot, result = word.rpartition(".")
    return (name, result) if dot and result in RESULTS else (word, "")


def dependency_of(task: dict[str, Any], tasks: dict[str, dict[str, Any]]) -> Dependency:
    """Return a task's condition from `depends` or `dependencies`. Raises `InvalidCondition`."""
    names = task.get("dependencies")
    if task.get("depends"):
        expression = parsed(str(task["depends"]))
    elif names:
        expression = ("value", names[0])
        for name in names[1:]:
            expression = ("&&", expression, ("value", name))
    else:
        return Dependency(None, [], set())
    words = [split(word) for word in words_of(expression)]
    handles = {name for name, result in words if result in _OF_FAILURE}
    handles |= {name for name, _ in words if (tasks.get(name) or {}).get("continueOn")}
    return Dependency(expression, list(dict.fromkeys(name for name, _ in words)), handles)


def holds(dependency: Dependency, results: dict[str, set[str]]) -> bool:
    """Return whether a task may run; `results` are those of the tasks it depends on."""
    if dependency.expression is None:
        return True

    def word(text: Any) -> bool:
        name, result = split(str(text))
        had = results.get(name, set())
        return result in had if result else bool(had & {"Succeeded", "Skipped", "Daemoned", "Continued"})

    return bool(evaluated(dependency.expression, word))


def results_of(phase: str, daemoned: bool, continued: bool, turns: list[str]) -> set[str]:
    """Return what `depends` may say of an ended task; `turns` are the phases of a loop's instances."""
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
