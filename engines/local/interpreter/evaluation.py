"""The value of an expression, as in expr-lang: https://expr-lang.org/docs/language-definition.

An expression comes from the manifest, so it never reaches Python: its values are those of `values`,
its only functions those of `builtin_functions` and `sprig`. Each operation is charged, and an expression has a
budget: no string, number or list can grow without end, and no evaluation takes long.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engines.local.interpreter.builtin_functions import BUILTINS, PREDICATED, are_equal
from engines.local.interpreter.go_numbers import divided, power
from engines.local.interpreter.grammar import InvalidText, Node, read
from engines.local.interpreter.patterns import InvalidPattern, pattern_of
from engines.local.interpreter.sprig import SPRIG
from engines.local.interpreter.times import method_of
from engines.local.interpreter.values import (
    CHARACTERS_A_STEP,
    Budget,
    InvalidExpression,
    as_number,
    is_whole,
    key_text,
    shown,
    type_name,
    whole,
)
from engines.local.interpreter.visible import Entry, Names

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **BUILTINS,
    **{f"sprig.{name}": function for name, function in SPRIG.items()},
}


class Closure:
    """A predicate: an expression that a function evaluates for each element."""

    __slots__ = ("body", "evaluation", "locals")

    def __init__(self, body: Node, evaluation: Evaluation, names: Mapping[str, Any]) -> None:
        self.body = body
        self.evaluation = evaluation
        self.locals = names

    def __call__(self, element: Any, **more: Any) -> Any:
        """Return the predicate's value for an element."""
        return self.evaluation.value(self.body, {**self.locals, "#": element, **more})


def expression_of(text: str) -> Node:
    """Parse an expression. Raises `InvalidExpression`."""
    try:
        return read("expression", text)
    except InvalidText as error:
        raise InvalidExpression(str(error)) from error


class Evaluation:
    """The evaluation of one expression."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.budget = Budget(names.now)

    def value(self, node: Node, local: Mapping[str, Any]) -> Any:
        """Return a node's value. Raises `InvalidExpression`."""
        found = self._of(node, local)
        return found.plain(self.budget.spend) if isinstance(found, Entry) else found

    def chosen(self, tree: Node) -> Any:
        """Return a tree's value, or the node of `visible` that it leads to. Raises `InvalidExpression`."""
        return self._of(tree, {})

    def _of(self, node: Node, local: Mapping[str, Any]) -> Any:
        self.budget.spend(1)
        kind = node.kind
        if kind == "value":
            return node.parts[0]
        method = _KINDS.get(kind)
        if method is not None:
            return method(self, node, local)
        if kind.startswith("unary"):
            return self._signed(kind[-1], self.value(node.parts[0], local))
        values = [self.value(part, local) for part in node.parts]
        result = values[0]
        for right in values[1:]:
            result = self._binary(kind, result, right)
        return result

    # Names and members of values

    def of_name(self, node: Node, local: Mapping[str, Any]) -> Any:
        name = node.parts[0]
        if name in local:
            return local[name]
        if name == "$env":
            return Entry(self.names, "")
        return self.names.root(name)

    def of_pointer(self, node: Node, local: Mapping[str, Any]) -> Any:
        if node.parts[0] not in local:
            raise InvalidExpression(f"{node.parts[0]} is used outside of a predicate")
        return local[node.parts[0]]

    def of_field(self, node: Node, local: Mapping[str, Any]) -> Any:
        if "#" not in local:
            raise InvalidExpression(f".{node.parts[0]} is used outside of a predicate")
        return self.member(local["#"], node.parts[0])

    def of_member(self, node: Node, local: Mapping[str, Any]) -> Any:
        return self.member(self._of(node.parts[0], local), node.parts[1], may_be_nil=node.kind.endswith("_if"))

    def of_index(self, node: Node, local: Mapping[str, Any]) -> Any:
        holder, key = self._of(node.parts[0], local), self.value(node.parts[1], local)
        return self.member(holder, key, may_be_nil=node.kind.endswith("_if"))

    def member(self, holder: Any, key: Any, *, may_be_nil: bool = False) -> Any:
        """Return a map's value of a key, nil where it has none, or an element of an array."""
        if isinstance(holder, Entry):
            if isinstance(key, str):
                return holder.inner(key)
            holder = holder.plain(self.budget.spend)
        if holder is None and may_be_nil:
            return None
        if isinstance(holder, dict):
            return holder.get(key) if isinstance(key, str | int | float) else None
        if isinstance(holder, list | str) and is_whole(key):
            if -len(holder) <= key < len(holder):
                return holder[key]
            raise InvalidExpression(f"index out of range: {key} (array length is {len(holder)})")
        raise InvalidExpression(f"cannot fetch {shown(key)} from {type_name(holder)}")

    def of_slice(self, node: Node, local: Mapping[str, Any]) -> Any:
        holder = self.value(node.parts[0], local)
        first, last = (None if part is None else self.value(part, local) for part in node.parts[1:])
        if not isinstance(holder, list | str) or not all(each is None or is_whole(each) for each in (first, last)):
            raise InvalidExpression(f"cannot slice {type_name(holder)}")
        self.budget.spend(len(holder) if isinstance(holder, list) else len(holder) // CHARACTERS_A_STEP)
        return holder[first:last]

    # Operators that evaluate one side first

    def of_choice(self, node: Node, local: Mapping[str, Any]) -> Any:
        condition, then, otherwise = node.parts
        return self._of(then if self._is_true(self.value(condition, local)) else otherwise, local)

    def of_both(self, node: Node, local: Mapping[str, Any]) -> Any:
        return all(self._is_true(self.value(part, local)) for part in node.parts)

    def of_either(self, node: Node, local: Mapping[str, Any]) -> Any:
        return any(self._is_true(self.value(part, local)) for part in node.parts)

    def of_not(self, node: Node, local: Mapping[str, Any]) -> Any:
        return not self._is_true(self.value(node.parts[0], local))

    def of_coalesce(self, node: Node, local: Mapping[str, Any]) -> Any:
        found = self._of(node.parts[0], local)
        value = found.plain(self.budget.spend) if isinstance(found, Entry) else found
        return self._of(node.parts[1], local) if value is None else found

    def of_let(self, node: Node, local: Mapping[str, Any]) -> Any:
        name, value, body = node.parts
        return self._of(body, {**local, name: self.value(value, local)})

    @staticmethod
    def _is_true(value: Any) -> bool:
        if not isinstance(value, bool):
            raise InvalidExpression(f"{shown(value)} is not a bool")
        return value

    # New values

    def of_array(self, node: Node, local: Mapping[str, Any]) -> Any:
        return [self.value(part, local) for part in node.parts if part is not None]

    def of_object(self, node: Node, local: Mapping[str, Any]) -> Any:
        pairs = [part.parts for part in node.parts if part is not None]
        return {key_text(self.value(key, local)): self.value(value, local) for key, value in pairs}

    def of_call(self, node: Node, local: Mapping[str, Any]) -> Any:
        callee, *given = node.parts
        if callee.kind == "name":
            return self._called(callee.parts[0], given, local)
        if callee.kind != "member":
            raise InvalidExpression("only functions can be called")
        holder, name = callee.parts
        if holder.kind == "name" and holder.parts[0] == "sprig":
            return self._function(f"sprig.{name}")(self.budget, *self._arguments(given, local))
        return method_of(self.value(holder, local), name, self._arguments(given, local))

    def of_pipe(self, node: Node, local: Mapping[str, Any]) -> Any:
        first, _, name, *given = node.parts
        return self._called(name, [first, *given], local)

    def _called(self, name: str, given: Sequence[Any], local: Mapping[str, Any]) -> Any:
        function = self._function(name)
        takes_predicate = name in PREDICATED
        arguments: list[Any] = []
        for number, part in enumerate(each for each in given if each is not None):
            if takes_predicate and number == 1:
                body = part.parts[0] if part.kind == "closure" else part
                arguments.append(Closure(body, self, local))
            else:
                arguments += self._arguments([part], local)
        return function(self.budget, *arguments)

    def _function(self, name: str) -> Callable[..., Any]:
        function = FUNCTIONS.get(name)
        if function is None:
            raise InvalidExpression(f"unknown function {name}")

        def called(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except InvalidExpression as error:
                raise InvalidExpression(f"{name}: {error}") from error
            except (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError) as error:
                raise InvalidExpression(f"{name} cannot be used with these arguments") from error

        return called

    def _arguments(self, given: Sequence[Any], local: Mapping[str, Any]) -> list[Any]:
        return [self.value(part, local) for part in given if part is not None]

    # Operators

    def _signed(self, sign: str, value: Any) -> Any:
        number = as_number(value)
        return whole(-number) if sign == "-" else number

    def _binary(self, operator: str, left: Any, right: Any) -> Any:  # noqa: PLR0911 - one for each kind
        if operator in ("==", "!="):
            return are_equal(self.budget, left, right) is (operator == "==")
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            self.budget.write(len(left) + len(right))
            return left + right
        if operator == "in":
            return self._is_in(left, right)
        if operator in _OF_TEXTS:
            if not (isinstance(left, str) and isinstance(right, str)):
                raise InvalidExpression(f"{operator} is for strings")
            self.budget.spend(len(left) // CHARACTERS_A_STEP)
            return _OF_TEXTS[operator](left, right)
        if operator == "..":
            return self._range(left, right)
        if isinstance(left, datetime.datetime | datetime.timedelta):
            return _of_times(operator, left, right)
        if operator in _ORDERS and isinstance(left, str) and isinstance(right, str):
            return _ORDERS[operator](left, right)
        one, other = as_number(left, operator), as_number(right, operator)
        if operator in _ORDERS:
            return _ORDERS[operator](one, other)
        return _ARITHMETIC[operator](one, other)

    def _is_in(self, item: Any, holder: Any) -> bool:
        if isinstance(holder, dict):
            return isinstance(item, str | int) and item in holder
        if isinstance(holder, list):
            return any(are_equal(self.budget, item, each) for each in holder)
        if holder is None:
            return False
        raise InvalidExpression(f"'in' is for arrays and maps, not {type_name(holder)}")

    def _range(self, first: Any, last: Any) -> list[int]:
        if not (is_whole(first) and is_whole(last)):
            raise InvalidExpression("a range must go from one whole number to another")
        self.budget.spend(max(last - first + 1, 0))
        return list(range(first, last + 1))


def _matches(left: str, right: str) -> bool:
    try:
        return pattern_of(right).search(left) is not None
    except InvalidPattern as error:
        raise InvalidExpression(str(error)) from error


def _remainder(left: float, right: float) -> int:
    if not (is_whole(left) and is_whole(right)):
        raise InvalidExpression("% is for whole numbers")
    if not right:
        raise InvalidExpression("integer divide by zero")
    return int(math.copysign(1, left)) * (abs(int(left)) % abs(int(right)))


def _of_times(operator: str, left: Any, right: Any) -> Any:
    try:
        if operator in _ORDERS:
            return _ORDERS[operator](left, right)
        if operator == "+":
            return left + right
        if operator == "-":
            return left - right
    except (TypeError, OverflowError) as error:
        raise InvalidExpression(f"{operator} cannot be used with these times") from error
    raise InvalidExpression(f"{operator} is not for times")


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda left, right: left < right,
    ">": lambda left, right: left > right,
    "<=": lambda left, right: left <= right,
    ">=": lambda left, right: left >= right,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda left, right: whole(left + right),
    "-": lambda left, right: whole(left - right),
    "*": lambda left, right: whole(left * right),
    "/": divided,
    "%": _remainder,
    "**": power,
    "^": power,
}
_OF_TEXTS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda left, right: right in left,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "matches": _matches,
}
_KINDS: dict[str, Callable[[Evaluation, Node, Mapping[str, Any]], Any]] = {
    "name": Evaluation.of_name,
    "pointer": Evaluation.of_pointer,
    "field": Evaluation.of_field,
    "member": Evaluation.of_member,
    "member_if": Evaluation.of_member,
    "index": Evaluation.of_index,
    "index_if": Evaluation.of_index,
    "slice": Evaluation.of_slice,
    "choice": Evaluation.of_choice,
    "&&": Evaluation.of_both,
    "||": Evaluation.of_either,
    "!": Evaluation.of_not,
    "coalesce": Evaluation.of_coalesce,
    "let": Evaluation.of_let,
    "array": Evaluation.of_array,
    "object": Evaluation.of_object,
    "call": Evaluation.of_call,
    "pipe": Evaluation.of_pipe,
}
