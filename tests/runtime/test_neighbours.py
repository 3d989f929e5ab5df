import fcntl
import json
from pathlib import Path

import pytest

from runtime.neighbours import Neighbours


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    """A pod of the step runner and two AI engines, as Argo's executor describes it."""
    names = ("main", "first", "second")
    (tmp_path / "template").write_text(json.dumps({"containerSet": {"containers": [{"name": name} for name in names]}}))
    for name in names:
        (tmp_path / "ctr" / name).mkdir(parents=True)
    return tmp_path


def end(pod: Path, name: str, code: int | str) -> None:
    (pod / "ctr" / name / "exitcode").write_text(str(code))


def test_nothing_is_known_outside_of_a_pod(tmp_path: Path) -> None:
    neighbours = Neighbours(tmp_path / "none")

    neighbours.asked_to_end({})
    assert (neighbours.ended(), neighbours.death()) == ({}, "")


def test_a_container_that_failed_unasked_is_a_death(pod: Path) -> None:
    neighbours = Neighbours(pod)
    assert neighbours.death() == ""

    end(pod, "second", 3)

    assert neighbours.death() == "container second ended with exit code 3"


def test_a_code_of_which_something_is_known_is_explained(pod: Path) -> None:
    end(pod, "first", 137)

    assert "used more memory than its version's limit" in Neighbours(pod).death()


def test_one_that_ended_well_is_a_death_once_nobody_else_is_left(pod: Path) -> None:
    neighbours = Neighbours(pod)

    end(pod, "first", 0)
    assert neighbours.death() == ""
    end(pod, "second", 0)
    assert neighbours.death() == "container first ended with exit code 0; container second ended with exit code 0"


def test_one_whose_image_is_still_pulled_is_left(pod: Path) -> None:
    (pod / "ctr" / "second").rmdir()
    end(pod, "first", 0)

    assert Neighbours(pod).death() == ""


@pytest.mark.parametrize(
    ("told", "death"),
    [
        ({"main": None, "ai": None}, ""),
        ({"main": None, "ai": 3}, "container ai ended with exit code 3"),
        ({"main": None, "ai": 0}, "container ai ended with exit code 0"),
        ({"main": None, "ai": 0, "other": None}, ""),
        ([], ""),
        ({"main": "x", "ai": True}, ""),
    ],
)
def test_the_local_engine_tells_it_in_one_file(tmp_path: Path, told: object, death: str) -> None:
    (tmp_path / "containers.json").write_text(json.dumps(told))
    neighbours = Neighbours(tmp_path / "none", tmp_path / "containers.json")

    assert neighbours.are_known
    assert neighbours.death() == death


def test_an_engine_that_was_asked_may_end_as_it_likes(pod: Path) -> None:
    neighbours = Neighbours(pod)

    before = neighbours.ended()
    end(pod, "first", 143)
    neighbours.asked_to_end(before)

    assert neighbours.death() == ""


def test_an_engine_that_was_asked_may_take_its_time(pod: Path) -> None:
    neighbours = Neighbours(pod)
    neighbours.asked_to_end({})
    end(pod, "first", 1)
    assert neighbours.death() == ""

    end(pod, "second", 1)

    assert "second" in neighbours.death()


def test_a_container_that_was_killed_with_its_executor_is_dead_once_its_lock_is_free(pod: Path) -> None:
    (pod / "ctr" / "first" / "ready").touch()
    with (pod / "ctr" / "first" / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert Neighbours(pod).death() == ""

    assert "container first ended with exit code 137" in Neighbours(pod).death()


def test_a_container_that_has_not_started_is_not_dead(pod: Path) -> None:
    (pod / "ctr" / "first" / "lock").touch()

    assert Neighbours(pod).ended() == {}


@pytest.mark.parametrize("text", ["", "three", "\udcff"])
def test_a_code_that_is_being_written_is_none_yet(pod: Path, text: str) -> None:
    (pod / "ctr" / "first" / "exitcode").write_bytes(text.encode(errors="surrogateescape"))

    assert Neighbours(pod).ended() == {}


@pytest.mark.parametrize("template", ["", "[]", '{"containerSet": {"containers": [{}]}}', '{"containerSet": 3}'])
def test_a_template_that_says_nothing_is_passed_over(pod: Path, template: str) -> None:
    (pod / "template").write_text(template)
    end(pod, "first", 2)

    assert Neighbours(pod).death() == "container first ended with exit code 2"
