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
        ("training_from.v1 == training_from.v1", True),
        ("'training-from scratch' == \"training-from scratch\"", True),
        ("abc =~ '^a.c$'", True),
        ("abc !~ '^x'", True),
        ("b in ('a', 'b')", True),
        ("1 == 1.0", True),
        ("1 == '1'", False),
        ("a == b || true", True),
        ("-1 < 0", True),
        ("4%2==0", True),
        ("4 % 2 == 0", True),
        ("4*2 == 8", True),
        ("7 / 2 == 3.5", True),
        ("1 + 2 * 3 == 7", True),
        ("(1 + 2) * 3 == 9", True),
        ("2 ** 3 == 8", True),
        ("10 - 2 - 3 == 5", True),
        ("-(1) == -1", True),
        ("0x1A == 26", True),
        ("4==4?true:false", True),
        ("4 == 5 ? true : 1 < 2", True),
        ("6 & 3 == 2", True),
        ("1 << 4 == 16", True),
        ("1 << 64 == 0", True),
        ("~0 == -1", True),
        ("1 / 0 > 1000", True),
        ("'a' + 1 == a1", True),
        ("a IN (b, a)", True),
        ("[two words] == 'two words'", True),
        ("true && !false", True),
    ],
)
def test_conditions(condition: str, holds: bool) -> None:
    assert when_holds(condition) is holds


@pytest.mark.parametrize(
    "condition",
    [
        "a ==",
        "== b",
        "(a == a",
        "a b == c",
        "foo",
        "a && b",
        "1 < x",
        "x =~ '('",
        "data-partner-1 == data-partner-1",
        "true + 1 == 2",
    ],
)
def test_conditions_that_cannot_be_read(condition: str) -> None:
    with pytest.raises(InvalidCondition):
        when_holds(condition)
