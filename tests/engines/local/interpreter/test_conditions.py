from __future__ import annotations

import pytest

from engines.local.interpreter.conditions import InvalidCondition, when_holds


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("Succeeded == Succeeded", True),
        ("Succeeded != Succeeded", False),
        ('"two words" == "two words"', True),
        ("'a' == \"a\"", True),
        ("2 > 10", False),
        ("2 <= 2 && 3 >= 2", True),
        ("true", True),
        ("!(a == b) && (c == c || d == e)", True),
        ("training_from-scratch.v1 == training_from-scratch.v1", True),
        ("abc =~ ^a.c$", True),
        ("abc !~ '^x'", True),
        ("b in ('a', 'b')", True),
        ("1 == 1.0", True),
        ("1 == '1'", False),
        ("a == b || true", True),
        ("-1 < 0", True),
    ],
)
def test_conditions(condition: str, holds: bool) -> None:
    assert when_holds(condition) is holds


@pytest.mark.parametrize("condition", ["a ==", "== b", "(a == a", "a b == c", "foo", "a && b", "1 < x", "x =~ '('"])
def test_conditions_that_cannot_be_read(condition: str) -> None:
    with pytest.raises(InvalidCondition):
        when_holds(condition)
