from __future__ import annotations

from collections.abc import Iterator

from engines.base import LogLine
from engines.log_order import Lines, in_order


def source(begins_at: str, *lines: tuple[str, str]) -> Lines:
    return Lines(begins_at, iter([LogLine("n", "main", "stdout", text, at) for at, text in lines]))


def texts(*sources: Lines) -> str:
    return "".join(line.text for line in in_order(sources))


def test_lines_are_merged_by_times_of_any_precision() -> None:
    a = source("", ("2026-01-01T00:00:00Z", "1"), ("2026-01-01T00:00:00.5Z", "3"), ("2026-01-01T00:00:01Z", "5"))
    b = source("", ("2026-01-01T00:00:00.25Z", "2"), ("2026-01-01T00:00:00.500000001Z", "4"))

    assert texts(b, a) == "12345"


def test_a_line_without_a_time_follows_the_one_before_it() -> None:
    a = source("", ("2026-01-01T00:00:02Z", "2"), ("", "3"))
    b = source("", ("2026-01-01T00:00:01Z", "1"), ("2026-01-01T00:00:03Z", "4"))

    assert texts(a, b) == "1234"


def test_a_clock_that_was_set_back_does_not_mix_up_a_containers_lines() -> None:
    a = source("", ("2026-01-01T00:00:05Z", "2"), ("2026-01-01T00:00:01Z", "3"))
    b = source("", ("2026-01-01T00:00:02Z", "1"))

    assert texts(a, b) == "123"


def test_a_source_is_begun_when_its_time_has_come() -> None:
    begun: list[str] = []

    def lines(at: str) -> Iterator[LogLine]:
        begun.append(at)
        yield LogLine("n", "main", "stdout", at, at)

    moments = [f"2026-01-01T00:00:0{second}Z" for second in (3, 1, 2)]
    merged = in_order([Lines(at, lines(at)) for at in moments])

    assert next(merged).at == moments[1]
    assert begun == [moments[1]]
    assert [line.at for line in merged] == [moments[2], moments[0]]
