import pytest

from web.leniency import NUMBERS_TOO, typed

WHOLE, NUMBER, BOOLEAN = {"type": "integer"}, {"type": "number"}, {"type": "boolean"}
TEXT, TEXT_OR_NUMBER = {"type": "string"}, {"type": "string", NUMBERS_TOO: True}
MAYBE = {"type": ["integer", "null"]}


@pytest.mark.parametrize(
    ("value", "shape", "expected"),
    [
        ("3", WHOLE, 3),
        (" 3 ", WHOLE, 3),
        ("-3", WHOLE, -3),
        ("0.9", NUMBER, 0.9),
        ("1e-3", NUMBER, 0.001),
        ("7", NUMBER, 7.0),
        ("true", BOOLEAN, True),
        ("False", BOOLEAN, False),
        ("", MAYBE, None),
        ("5", MAYBE, 5),
        (12, TEXT_OR_NUMBER, "12"),
    ],
)
def test_what_is_written_otherwise_is_put_into_its_type(value, shape, expected):
    result = typed(value, shape)

    assert (result, type(result)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("three", WHOLE),
        ("3.5", WHOLE),
        ("", WHOLE),
        ("٣", WHOLE),
        ("1_000", WHOLE),
        ("1" * 5000, WHOLE),
        (3.5, WHOLE),
        (True, WHOLE),
        ("nan", NUMBER),
        ("-Infinity", NUMBER),
        ("1e999", NUMBER),
        ("0x1F", NUMBER),
        (True, NUMBER),
        ("yes", BOOLEAN),
        (1, BOOLEAN),
        ("3", TEXT),
        (3, TEXT),
        (True, TEXT_OR_NUMBER),
        (1.5, TEXT_OR_NUMBER),
        (10**400, TEXT_OR_NUMBER),
        (None, WHOLE),
        ({"a": 1}, WHOLE),
        ([], WHOLE),
    ],
)
def test_what_is_not_certain_stays_as_it_came(value, shape):
    assert typed(value, shape) is value


def test_whatever_is_inside_is_put_into_its_type_and_the_rest_left_alone():
    shape = {
        "type": "object",
        "properties": {"ids": {"type": "array", "items": {"type": "object", "properties": {"id": WHOLE}}}},
        "additionalProperties": {"type": "object", "properties": {"n": NUMBER}},
    }
    document = {"ids": [{"id": "1", "other": "2"}, {"id": 3}], "more": {"n": "0.5"}, "odd": "4"}

    assert typed(document, shape) == {"ids": [{"id": 1, "other": "2"}, {"id": 3}], "more": {"n": 0.5}, "odd": "4"}
    assert document["ids"][0]["id"] == "1"
