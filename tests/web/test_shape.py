import pytest

from web.errors import Fault
from web.shape import MAX_FAULTS, check

SHAPE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 5},
        "type": {"enum": ["individual", "joint"]},
        "count": {"type": "integer", "minimum": 1},
        "engines": {
            "type": "array",
            "uniqueItems": True,
            "items": {"type": "object", "required": ["a/b"], "properties": {"a/b": {"type": "boolean"}}},
        },
    },
}


def test_a_document_of_that_shape_has_no_faults():
    assert check({"name": "x", "type": "joint", "count": 2, "engines": [{"a/b": True}]}, SHAPE) == []


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({}, Fault("/data/name", "is missing")),
        ({"name": "x", "nmae": 1}, Fault("/data/nmae", "is not a known field here")),
        ({"name": ""}, Fault("/data/name", "must not be empty")),
        ({"name": "secret patient"}, Fault("/data/name", "must have at most 5 characters")),
        ({"name": None}, Fault("/data/name", "must be a string")),
        ({"name": "x", "type": "other"}, Fault("/data/type", "must be one of: individual, joint")),
        ({"name": "x", "count": True}, Fault("/data/count", "must be a whole number")),
        ({"name": "x", "count": 1.0}, Fault("/data/count", "must be a whole number")),
        ({"name": "x", "count": 0}, Fault("/data/count", "must be at least 1")),
        ({"name": "x", "engines": [{}]}, Fault("/data/engines/0/a~1b", "is missing")),
        ([], Fault("/data", "must be an object")),
    ],
)
def test_each_fault_says_where_and_what_in_our_words(data, fault):
    assert check(data, SHAPE) == [fault]


def test_all_faults_come_at_once():
    assert len(check({"type": 1, "count": "x", "y": 1}, SHAPE)) == 4


def test_faults_are_bounded():
    assert len(check({str(i): 1 for i in range(1000)}, SHAPE)) == MAX_FAULTS


def test_the_branch_that_fits_best_is_described():
    shape = {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"a": {"type": "integer"}}}]}
    assert check({"a": "x"}, shape) == [Fault("/data/a", "must be a whole number")]


def test_another_prefix_may_be_given():
    assert check({}, SHAPE, prefix="/files/vars") == [Fault("/files/vars/name", "is missing")]
