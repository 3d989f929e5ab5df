"""The two small languages of conditions: a step's `when` and a task's `depends`.

`when` follows https://argo-workflows.readthedocs.io/en/latest/walk-through/conditionals/: words need no quotes.
`depends` follows https://argo-workflows.readthedocs.io/en/latest/enhanced-depends-logic/.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_TOKEN = re.compile(
    r"""\s*(?:(?P<op>&&|\|\||==|!=|>=|<=|=~|!~|[<>!(),])|"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'"""
    r"""|(?P<word>[^\s&|=!<>()'",~]+))""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)")
_COMPARISONS = {"==", "!=", "<", ">", "<=", ">=", "=~", "!~"}

Expression = tuple[Any, ...]


class InvalidCondition(Exception):
    """A condition that cannot be read."""


def _tokens(text: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    position, text = 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.end() == position:
            raise InvalidCondition(f"Invalid token: '{text[position:].strip()[:20]}'")
        position = match.end()
        if match.group("op"):
            found.append(("op", match.group("op")))
        elif match.group("word") is not None:
            word = match.group("word")
            if word in ("in", "IN"):
                found.append(("op", "in"))
            else:
                found.append(("word", _value(word)))
        else:
            quoted = match.group("double") if match.group("double") is not None else match.group("single")
            found.append(("word", _ESCAPE.sub(r"\1", quoted)))
    return found


def _value(word: str) -> Any:
    if word in ("true", "false"):
        return word == "true"
    try:
        return float(word) if word[0].isdigit() or word[0] in "-." else word
    except ValueError:
        return word


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.position = 0

    def parse(self) -> Expression:
        expression = self._either()
        if self.position != len(self.tokens):
            raise InvalidCondition(f"Cannot transition token types: '{self.tokens[self.position][1]}'")
        return expression

    def _take(self, *operators: str) -> str | None:
        if self.position < len(self.tokens):
            kind, value = self.tokens[self.position]
            if kind == "op" and value in operators:
                self.position += 1
                return str(value)
        return None

    def _either(self) -> Expression:
        left = self._both()
        while self._take("||"):
            left = ("||", left, self._both())
        return left

    def _both(self) -> Expression:
        left = self._comparison()
        while self._take("&&"):
            left = ("&&", left, self._comparison())
        return left

    def _comparison(self) -> Expression:
        left = self._unary()
        operator = self._take(*_COMPARISONS)
        if operator:
            return (operator, left, self._unary())
        if self._take("in"):
            return ("in", left, self._choices())
        return left

    def _choices(self) -> list[Expression]:
        if not self._take("("):
            raise InvalidCondition("'in' needs a list in parentheses")
        choices = [self._unary()]
        while self._take(","):
            choices.append(self._unary())
        if not self._take(")"):
            raise InvalidCondition("Unbalanced parenthesis")
        return choices

    def _unary(self) -> Expression:
        if self._take("!"):
            return ("!", self._unary())
        if self._take("("):
            inner = self._either()
            if not self._take(")"):
                raise InvalidCondition("Unbalanced parenthesis")
            return inner
        if self.position < len(self.tokens) and self.tokens[self.position][0] == "word":
            self.position += 1
            return ("value", self.tokens[self.position - 1][1])
        raise InvalidCondition("Unexpected end of expression")


def parsed(text: str) -> Expression:
    """Return a condition as a tree. Raises `InvalidCondition`."""
    return _Parser(text).parse()


def _compare(operator: str, left: Any, right: Any) -> bool:
    if operator == "==":
        return type(left) is type(right) and bool(left == right)
    if operator == "!=":
        return type(left) is not type(right) or bool(left != right)
    if operator in ("=~", "!~"):
        try:
            found = re.search(str(right), str(left)) is not None
        except re.error as error:
            raise InvalidCondition(f"Invalid pattern '{right}': {error}") from error
        return found if operator == "=~" else not found
    if type(left) is not type(right) or isinstance(left, bool):
        raise InvalidCondition(f"Value '{left}' cannot be used with the comparator '{operator}'")
    return bool({"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[operator])


def evaluated(expression: Expression, word: Callable[[Any], Any]) -> Any:
    """Return a tree's value; `word` gives the value of a word."""
    operator = expression[0]
    if operator == "value":
        return word(expression[1])
    if operator == "!":
        return not _truth(evaluated(expression[1], word))
    if operator == "&&":
        return _truth(evaluated(expression[1], word)) and _truth(evaluated(expression[2], word))
    if operator == "||":
        return _truth(evaluated(expression[1], word)) or _truth(evaluated(expression[2], word))
    left = evaluated(expression[1], word)
    if operator == "in":
        return any(_compare("==", left, evaluated(choice, word)) for choice in expression[2])
    return _compare(operator, left, evaluated(expression[2], word))


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidCondition(f"Value '{value}' cannot be used with a logical operator, it is not a bool")
    return value


def when_holds(text: str) -> bool:
    """Return whether a step whose `when` is this text runs. Raises `InvalidCondition`."""
    try:
        result = evaluated(parsed(text), lambda value: value)
    except InvalidCondition as error:
        raise InvalidCondition(f"Invalid 'when' expression '{text}': {error}") from error
    if not isinstance(result, bool):
        raise InvalidCondition(f"Expected boolean evaluation for '{text}'. Got {result}")
    return result


def words_of(expression: Expression) -> list[str]:
    """Return the words of a tree, in order."""
    if expression[0] == "value":
        return [str(expression[1])]
    return [word for part in expression[1:] if isinstance(part, tuple) for word in words_of(part)]
