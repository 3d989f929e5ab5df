from datetime import UTC, datetime

import pytest

from engines.base import LogLine
from runs.log_query import LogQuery, places_of, read_query
from web.errors import InvalidInput, NotFound

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
NODES = {
    "wf": {"id": "wf", "name": "wf", "displayName": "wf", "type": "Steps"},
    "wf-0": {"id": "wf-0", "name": "wf[0]", "displayName": "[0]", "type": "StepGroup", "boundaryID": "wf"},
    "r": {"id": "r", "name": "wf[0].train", "displayName": "train", "type": "Retry", "boundaryID": "wf"},
    "r0": {"id": "r0", "name": "wf[0].train(0)", "displayName": "train(0)", "type": "Pod", "boundaryID": "wf"},
    "r1": {"id": "r1", "name": "wf[0].train(1)", "displayName": "train(1)", "type": "Pod", "boundaryID": "wf"},
    "c1": {"id": "c1", "name": "wf[0].train(1).ai", "displayName": "ai", "type": "Container", "boundaryID": "r1"},
    "t2": {"id": "t2", "name": "wf[0].train2", "displayName": "train2", "type": "Pod", "boundaryID": "wf"},
}


def line(text, at="2026-01-01T12:00:00Z", node="r0", container="main", stream="stdout"):
    return LogLine(node, container, stream, text, at)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("train", {"r", "r0", "r1"}),
        ("r1", {"r1"}),
        ("train2", {"t2"}),
        ("[0]", {"wf-0", "r", "r0", "r1", "t2"}),
    ],
)
def test_a_step_has_the_lines_of_all_its_attempts(wanted, expected):
    assert {node for node, container in places_of(NODES, wanted) if not container} >= expected
    assert "t2" in expected or ("t2", "") not in places_of(NODES, wanted)


def test_a_container_of_a_set_has_its_own_lines_alone():
    query = LogQuery(places_of(NODES, "ai"))

    assert query.node_id == "r1"
    assert [each.text for each in query.chosen([line("no", node="r1"), line("yes", node="r1", container="ai")])] == [
        "yes"
    ]


def test_a_step_that_is_not_there_is_not_found():
    with pytest.raises(NotFound, match="nowhere"):
        places_of(NODES, "nowhere")


def test_the_last_lines_are_of_those_that_are_wanted():
    query = LogQuery(grep="a", tail=2)

    assert [each.text for each in query.chosen(map(line, ["a1", "b", "a2", "c", "a3", "d"]))] == ["a2", "a3"]


def test_the_last_lines_are_fewer_where_they_are_long():
    lines = [line("x" * 6_000_000), line("y" * 6_000_000), line("z")]

    assert [each.text[0] for each in LogQuery(tail=3).chosen(lines)] == ["y", "z"]


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("2026-01-01T12:00:00.5Z", "234"),
        ("2026-01-01 13:00:00.500+01:00", "234"),
        ("2026-01-01T12:00:00.500001Z", "34"),
        ("30", "1234"),
        ("0s", "1234"),
    ],
)
def test_lines_since_a_time_are_found_whatever_their_fractions(since, expected):
    lines = [
        line("1"),
        line("2", "2026-01-01T12:00:00.500Z"),
        line("3", "2026-01-01T12:00:01Z"),
        line("4", ""),
    ]

    query = read_query({}, {"since": since}, NOW)

    assert "".join(each.text for each in query.chosen(lines)) == expected


def test_all_faults_are_told_at_once():
    with pytest.raises(InvalidInput) as caught:
        read_query({}, {"since": "soon", "tail": "-1", "stream": "x"}, NOW)

    assert [fault.pointer for fault in caught.value.faults] == ["/query/stream", "/query/since", "/query/tail"]


def test_a_pattern_is_a_text_like_any_other():
    hostile = "(a+)+$"
    query = read_query({}, {"grep": hostile}, NOW)

    assert [each.text for each in query.chosen([line("a" * 200_000), line(f"x{hostile}y")])] == [f"x{hostile}y"]
