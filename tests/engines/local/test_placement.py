"""On which node a pod runs: by `nodeSelector` and `affinity` of templates, defaults and the whole Workflow."""

from __future__ import annotations

from typing import Any

import pytest

from engines.base import ManifestRejected, Submission
from engines.local import LocalEngine
from engines.local.templates import place_for
from tests.engines.local.harness import node, run, shell, workflow

WORK: dict[str, Any] = {"name": "work", "container": shell("true")}
MAIN: dict[str, Any] = {"name": "main", "steps": [[{"name": "a", "template": "work"}]]}
SECOND = {"dataPartner": "data-partner-2"}
NODES = [
    {"name": "central", "labels": {"nodeType": "central", "cpus": "4"}},
    {"name": "second", "labels": {**SECOND, "cpus": "16"}},
]


def requirement(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}


def required(*terms: list[dict[str, Any]]) -> dict[str, Any]:
    found = [{"matchExpressions": term} for term in terms]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": found}}}


LINUX = {"kubernetes.io/os": "linux"}
IN_SECOND = requirement("dataPartner", "In", "data-partner-2")


@pytest.mark.parametrize(
    ("name", "manifest"),
    [
        ("place-spec", workflow(MAIN, WORK, nodeSelector=SECOND)),
        ("place-defaults", workflow(MAIN, {**WORK, "nodeSelector": LINUX}, templateDefaults={"nodeSelector": SECOND})),
        ("place-caller", workflow({**MAIN, "nodeSelector": SECOND}, WORK)),
        ("place-affinity", workflow(MAIN, WORK, affinity=required([IN_SECOND]))),
    ],
)
def test_a_partners_pod_runs_on_the_partners_node(engine: LocalEngine, name: str, manifest: dict[str, Any]) -> None:
    status = run(engine, name, manifest)

    assert (status.phase, node(status, "a")["hostNodeName"]) == ("Succeeded", "data-partner-2")


@pytest.mark.parametrize("hooks", [{"onExit": "after"}, {"hooks": {"exit": {"template": "after"}}}])
def test_a_hook_runs_where_the_calling_template_says(engine: LocalEngine, hooks: dict[str, Any]) -> None:
    caller = {"name": "main", "nodeSelector": SECOND, "steps": [[{"name": "a", "template": "work", **hooks}]]}

    status = run(
        engine, f"hook-{len(str(hooks))}", workflow(caller, WORK, {"name": "after", "container": shell("true")})
    )

    assert (status.phase, node(status, "a.onExit")["hostNodeName"]) == ("Succeeded", "data-partner-2")


def test_an_affinity_that_no_node_has_leaves_the_pod_pending(engine: LocalEngine) -> None:
    nowhere = required([requirement("dataPartner", "In", "nobody")])

    status = run(engine, "place-nowhere", workflow(MAIN, WORK, affinity=nowhere, activeDeadlineSeconds=1))

    assert (status.phase, node(status, "a").get("hostNodeName")) == ("Failed", None)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([[requirement("nodeType", "NotIn", "central")]], "second"),
        ([[requirement("dataPartner", "Exists")]], "second"),
        ([[requirement("dataPartner", "DoesNotExist")]], "central"),
        ([[requirement("cpus", "Gt", "8")]], "second"),
        ([[requirement("cpus", "Lt", "8")]], "central"),
        ([[requirement("cpus", "Lt", "8"), requirement("dataPartner", "Exists")]], None),
        ([[requirement("nodeType", "In", "x")], [requirement("dataPartner", "Exists")]], "second"),
        ([[]], None),
    ],
)
def test_terms_are_alternatives_and_expressions_are_not(terms: list[Any], expected: str | None) -> None:
    assert place_for({"affinity": required(*terms)}, NODES) == expected


def test_a_preferred_node_is_taken_where_it_fits() -> None:
    preference = {"weight": 1, "preference": {"matchExpressions": [requirement("dataPartner", "Exists")]}}
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [preference]}}

    assert place_for({"affinity": affinity}, NODES) == "second"


def test_an_affinity_between_pods_is_refused(engine: LocalEngine) -> None:
    with pytest.raises(ManifestRejected) as refused:
        engine.submit(Submission("place-pods", workflow(MAIN, WORK, affinity={"podAffinity": {}})))

    assert refused.value.pointer == "/spec/affinity/podAffinity"


def test_an_unknown_operator_is_refused(engine: LocalEngine) -> None:
    with pytest.raises(ManifestRejected) as refused:
        engine.submit(Submission("place-op", workflow(MAIN, WORK, affinity=required([requirement("a", "Near", "b")]))))

    assert refused.value.pointer.endswith("/matchExpressions/0/operator")
