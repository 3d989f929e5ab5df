"""What a dag task depends on, and whether it may run once that has ended.

Source: https://argo-workflows.readthedocs.io/en/latest/enhanced-depends-logic/.
"""

from __future__ import annotations

import re
from typing import Any

from engines.local.interpreter.conditions import Expression, evaluated, parsed, words_of
from engines.local.interpreter.nodes import UNSUCCESSFUL

RESULTS = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", "AnySucceeded", "AllFailed")
_WORD = re.compile(r"[A-Za-z0-9_][-A-Za-z0-9_.]*")


class Dependency:
    """The condition of one task: an expression, or words of which all (`&&`) or one (`||`) must hold."""

    __slots__ = ("expression", "operator", "tasks", "words")

    def __init__(self, operator: str, words: list[str], expression: Expression | None = None) -> None:
        self.operator = operator
        self.words = words
        self.expression = expression
        self.tasks = list(dict.fromkeys(split(word)[0] for word in words))


def split(word: str) -> tuple[str, str]:
    """Return a word of `depends` as the task's name and the result asked for ('' = the usual ones)."""
    name, dot, result = word.rpartition(".")
    return (name, result) if dot and result in RESULTS else (word, "")


def dependency_of(task: dict[str, Any]) -> Dependency:
    """Return a task's condition from `depends` or `dependencies`. Raises `InvalidCondition`."""
    if not task.get("depends"):
        return Dependency("&&", list(task.get("dependencies") or ()))
    text = str(task["depends"])
    # Thousands of words beside each other would be as many levels of an expression.
    for operator in ("&&", "||"):
        words = [word.strip() for word in text.split(operator)]
        if all(_WORD.fullmatch(word) for word in words):
            return Dependency(operator, words)
    expression = parsed(text)
    return Dependency("", words_of(expression), expression)


def holds(dependency: Dependency, results: dict[str, set[str]]) -> bool:
    """Return whether a task may run; `results` are those of the tasks it depends on."""

    def word(text: Any) -> bool:
        name, result = split(str(text))
        had = results.get(name, set())
        return result in had if result else bool(had & {"Succeeded", "Skipped", "Daemoned", "Continued"})

    if dependency.expression is not None:
        return bool(evaluated(dependency.expression, word))
    return all(map(word, dependency.words)) if dependency.operator == "&&" else any(map(word, dependency.words))


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
