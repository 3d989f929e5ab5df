from __future__ import annotations

from typing import Any

import pytest

from engines.local import names
from tests.engines.local.harness import shell


@pytest.mark.parametrize("good", ["a", "main-ai-engine", "0a", "a" * 63])
def test_labels(good: str) -> None:
    assert names.label(good) == ""


@pytest.mark.parametrize("bad", ["", "A", "-a", "a-", "a.b", "a/b", "..", "a_b", "a" * 64, "a\n", "é", None, 1, ["a"]])
def test_what_is_no_label(bad: Any) -> None:
    assert names.label(bad)


@pytest.mark.parametrize("good", ["a", "a.b-c.d", "a" * 253])
def test_subdomains(good: str) -> None:
    assert names.subdomain(good) == ""


@pytest.mark.parametrize("bad", ["", ".", "..", "a..b", ".a", "a.", "a.-b", "A", "a/b", "a" * 254, "a\n", None])
def test_what_is_no_subdomain(bad: Any) -> None:
    assert names.subdomain(bad)


@pytest.mark.parametrize("good", ["platform_vars.json", ".hidden", "A-b_c.d", "a..b"])
def test_keys(good: str) -> None:
    assert names.key(good) == ""


@pytest.mark.parametrize("bad", ["", ".", "..", "..data", "a/b", "a b", "a\0", "a\n", "a" * 254, None])
def test_what_is_no_key(bad: Any) -> None:
    assert names.key(bad)


@pytest.mark.parametrize("good", ["a", "a/b", "./a//b/", "a..b", ""])
def test_paths_within_a_volume(good: str) -> None:
    assert names.relative(good) == ""


@pytest.mark.parametrize("bad", ["/a", "..", "a/..", "../a", "a/../b", "a\0b", "a" * 256, None, 7])
def test_what_is_no_path_within_a_volume(bad: Any) -> None:
    assert names.relative(bad)


@pytest.mark.parametrize("good", ["/a", "/a/b c", "//a"])
def test_absolute_paths(good: str) -> None:
    assert names.absolute(good) == ""


@pytest.mark.parametrize("bad", ["", "/", "//", "a", "/a/../b", "/..", "/a\0", "/" + "a" * 256, None])
def test_what_is_no_absolute_path(bad: Any) -> None:
    assert names.absolute(bad)


def test_a_tag_that_is_left_when_rendered_is_no_name() -> None:
    template = {"name": "t", "container": shell("true"), "volumes": [{"name": "{{x}}", "emptyDir": {}}]}

    assert list(names.problems(template["volumes"][0], "volume", "")) == []
    assert names.first_problem(template, "template").startswith("/volumes/0/name: '{{x}}' is not a name")


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ({"initContainers": [{"name": "a"}, {"name": "a"}]}, "/initContainers/1/name"),
        ({"initContainers": [{"name": "a"}], "sidecars": [{"name": "a"}]}, "/sidecars/0/name"),
        ({"sidecars": [{"name": "main"}]}, "/sidecars/0/name"),
        ({"volumes": [{"name": "v", "emptyDir": {}}] * 2}, "/volumes/1/name"),
        (
            {"outputs": {"parameters": [{"name": "p", "valueFrom": {"path": "../x"}}]}},
            "/outputs/parameters/0/valueFrom/path",
        ),
        ({"container": {"volumeMounts": [{"name": "v", "mountPath": "x"}]}}, "/container/volumeMounts/0/mountPath"),
        ({"container": {"envFrom": [{"secretRef": {"name": "../x"}}]}}, "/container/envFrom/0/secretRef/name"),
    ],
)
def test_it_says_where_in_a_template(part: dict[str, Any], place: str) -> None:
    assert names.first_problem({"name": "t", "container": {}, **part}, "template").startswith(f"{place}: ")


def test_a_set_of_containers_may_have_a_main_one() -> None:
    containers = [{"name": "main"}, {"name": "other"}]

    assert names.first_problem({"name": "t", "containerSet": {"containers": containers}}, "template") == ""
