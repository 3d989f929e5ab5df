from __future__ import annotations

from typing import Any

import pytest

from engines.local.interpreter.items import InvalidLoop, instance, items_of


@pytest.mark.parametrize(
    ("sequence", "items"),
    [
        ({"count": "3"}, ["0", "1", "2"]),
        ({"start": "2", "end": "4"}, ["2", "3", "4"]),
        ({"start": "2", "end": "0"}, ["2", "1", "0"]),
        ({"count": 2, "start": "5", "format": "host%02X"}, ["host05", "host06"]),
        ({"count": "0"}, []),
        ({"count": "-1"}, []),
        ({"count": "1", "format": "100 %% of %03o%%"}, ["100 % of 000%"]),
    ],
)
def test_sequences(sequence: dict[str, Any], items: list[str]) -> None:
    assert items_of({"withSequence": sequence}) == items


@pytest.mark.parametrize(
    "loop",
    [
        {"withParam": "{"},
        {"withParam": '{"a":1}'},
        {"withSequence": {"count": "x"}},
        {"withSequence": {"count": "100001"}},
        {"withSequence": {"start": "1", "end": "9" * 30}},
        {"withSequence": {"start": "1", "end": "-" + "9" * 30}},
        {"withSequence": {"count": "1", "format": "%0999999999d"}},
        {"withSequence": {"count": "1", "format": "%.999999999d"}},
        {"withSequence": {"count": "1", "format": "%c"}},
        {"withSequence": {"count": "1", "format": "%d-%d"}},
        {"withSequence": {"count": "1", "format": "x"}},
    ],
)
def test_loops_that_cannot_be_told(loop: dict[str, Any]) -> None:
    with pytest.raises(InvalidLoop):
        items_of(loop)


@pytest.mark.parametrize(
    ("item", "name", "values"),
    [
        ("a", "x(0:a)", {"item": "a"}),
        (1, "x(0:1)", {"item": "1"}),
        (True, "x(0:true)", {"item": "true"}),
        ({"b": 1, "a": "z"}, "x(0:a:z,b:1)", {"item": '{"b":1,"a":"z"}', "item.b": "1", "item.a": "z"}),
        ({"o": {"k": [1]}}, 'x(0:o:{"k":[1]})', {"item": '{"o":{"k":[1]}}', "item.o": '{"k":[1]}'}),
        (["a", 2], "x(0:[a 2])", {"item": '["a",2]'}),
    ],
)
def test_turns_of_a_loop(item: Any, name: str, values: dict[str, str]) -> None:
    assert instance("x", 0, item) == (name, values)
