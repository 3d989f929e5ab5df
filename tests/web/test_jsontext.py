import pytest

from web.errors import Fault, InvalidInput, TooLarge
from web.jsontext import parse_json


def faults_of(text: str | bytes) -> list[Fault]:
    with pytest.raises(InvalidInput) as caught:
        parse_json(text)
    return list(caught.value.faults)


def test_a_document_is_returned_as_it_is():
    assert parse_json('{"a": [1, 2.5, null, true, "é"]}') == {"a": [1, 2.5, None, True, "é"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("{'a': 1}", "is not JSON"),
        (b'{"a": "\xff"}', "is not UTF-8"),
        ('{"a": NaN}', "number"),
        ('{"a": -Infinity}', "number"),
        ('{"a": ' + "9" * 5000 + "}", "number"),
        ('{"a": 1, "a": 2}', "twice"),
        ("[" * 100_000, "nested deeper than 32"),
        ("[" * 33 + "]" * 33, "nested deeper than 32"),
    ],
)
def test_a_text_that_is_no_strict_json_is_one_fault_at_the_document(text, words):
    [fault] = faults_of(text)
    assert fault.pointer == "/data"
    assert words in fault.detail


def test_thirty_two_levels_are_taken():
    assert parse_json("[" * 32 + "]" * 32)


@pytest.mark.parametrize("value", ['"a\\u0000b"', '"\\ud800"', "1e999"])
def test_values_that_cannot_be_stored_are_pointed_at(value):
    [fault] = faults_of('{"x/y": [0, ' + value + "]}")
    assert fault.pointer == "/data/x~1y/1"


def test_a_key_that_cannot_be_stored_is_a_fault_of_its_object():
    [fault] = faults_of('{"o": {"\\u0000": 1}}')
    assert fault.pointer == "/data/o"


def test_a_text_of_too_many_values_is_too_large(settings):
    settings.MAX_DATA_VALUES = 10
    assert parse_json("[" + ",".join(["1"] * 10) + "]")

    with pytest.raises(TooLarge) as caught:
        parse_json("[" + ",".join(["1"] * 11) + "]")

    assert caught.value.faults == (Fault("/data", "holds more than 10 values"),)
