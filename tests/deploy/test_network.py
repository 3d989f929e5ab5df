"""The evaluator of network policies, on policies of its own; what ours say is among the attacks."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy.network import Network, Pod, selects

A, B = Pod("one", {"app": "a"}, "10.0.0.1"), Pod("two", {"app": "b"}, "10.0.0.2", {"http": 80})
ELSEWHERE = "203.0.113.7"


def policy(namespace: str, **spec: Any) -> dict[str, Any]:
    return {
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": namespace},
        "spec": {"podSelector": {}, **spec},
    }


def reaches(*policies: dict[str, Any], source: Pod | str = A, target: Pod | str = B, port: int = 80) -> bool:
    return Network(policies, {"one": {"team": "x"}, "two": {}}).reaches(source, target, port)


def test_without_policies_everybody_reaches_everybody() -> None:
    assert reaches()
    assert reaches(source=ELSEWHERE)


@pytest.mark.parametrize("types", [["Ingress"], None])
def test_a_policy_closes_the_ways_that_it_is_for(types: list[str] | None) -> None:
    closed = policy("two", **({"policyTypes": types} if types else {}))

    assert not reaches(closed)
    assert reaches(closed, source=B, target=A)


def test_egress_is_closed_where_it_is_named() -> None:
    closed = policy("one", policyTypes=["Egress"])

    assert not reaches(closed)
    assert not reaches(closed, target=ELSEWHERE)
    assert reaches(closed, source=B, target=A)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"from": [{"namespaceSelector": {"matchLabels": {"team": "x"}}}]}, True),
        ({"from": [{"namespaceSelector": {"matchLabels": {"team": "y"}}}]}, False),
        ({"from": [{"podSelector": {"matchLabels": {"app": "a"}}}]}, False),
        ({"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "a"}}}]}, True),
        ({"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "b"}}}]}, False),
        ({"from": [{"ipBlock": {"cidr": "10.0.0.0/24"}}]}, True),
        ({"from": [{"ipBlock": {"cidr": "10.0.0.0/24", "except": ["10.0.0.1/32"]}}]}, False),
        ({"ports": [{"port": "http"}]}, True),
        ({"ports": [{"port": "metrics"}]}, False),
        ({"ports": [{"port": 80, "protocol": "UDP"}]}, False),
        ({"ports": [{"port": 70, "endPort": 90}]}, True),
        ({"ports": [{"port": 81}]}, False),
        ({}, True),
    ],
)
def test_a_rule_lets_in_whom_it_names(rule: dict[str, Any], expected: bool) -> None:
    assert reaches(policy("two", policyTypes=["Ingress"], ingress=[rule])) is expected


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [("In", ["a"], True), ("NotIn", ["a"], False), ("Exists", None, True), ("DoesNotExist", None, False)],
)
def test_expressions_of_selectors(operator: str, values: list[str] | None, expected: bool) -> None:
    assert selects({"matchExpressions": [{"key": "app", "operator": operator, "values": values}]}, A.labels) is expected
