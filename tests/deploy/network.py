"""Who reaches whom, as network policies say it; a plugin that enforces them is nowhere here.

https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
NAMESPACE_NAME = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Pod:
    """A pod: where it is, what it says of itself, and the names of its ports."""

    namespace: str
    labels: Mapping[str, str]
    address: str = "10.244.0.9"
    ports: Mapping[str, int] = field(default_factory=dict)


def selects(selector: Json, labels: Mapping[str, str]) -> bool:
    """Return whether a label selector selects what has these labels. Raises KeyError for an unknown operator."""
    wanted = selector.get("matchLabels") or {}
    return wanted.items() <= labels.items() and all(
        _holds(each, labels) for each in selector.get("matchExpressions") or []
    )


def _holds(expression: Json, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[expression["operator"]]


class Network:
    """A cluster's network, from the objects that were applied to it."""

    def __init__(self, objects: Iterable[Json], namespaces: Mapping[str, Mapping[str, str]]) -> None:
        """Take policies and namespaces from objects; `namespaces` are further ones, with their labels."""
        objects = list(objects)
        made = {
            each["metadata"]["name"]: each["metadata"].get("labels") or {}
            for each in objects
            if each["kind"] == "Namespace"
        }
        self._namespaces = {name: {**labels, NAMESPACE_NAME: name} for name, labels in {**namespaces, **made}.items()}
        self._policies = [each for each in objects if each["kind"] == "NetworkPolicy"]

    def reaches(self, source: Pod | str, target: Pod | str, port: int, protocol: str = "TCP") -> bool:
        """Return whether a pod or an address outside reaches a port of a pod or of an address outside."""
        return self._may(source, target, source, target, port, protocol, "Egress") and self._may(
            target, source, source, target, port, protocol, "Ingress"
        )

    def _may(
        self,
        bound: Pod | str,
        peer: Pod | str,
        source: Pod | str,
        target: Pod | str,
        port: int,
        protocol: str,
        way: str,
    ) -> bool:
        if isinstance(bound, str):
            return True
        policies = list(self._policies_of(bound, way))
        return not policies or any(
            self._is_peer(peer, rule.get("to" if way == "Egress" else "from"), policy["metadata"]["namespace"])
            and _is_port(rule.get("ports"), target, port, protocol)
            for policy in policies
            for rule in policy["spec"].get(way.lower()) or []
        )

    def _policies_of(self, pod: Pod, way: str) -> Iterator[Json]:
        for policy in self._policies:
            spec = policy["spec"]
            # As the API server completes a policy without types.
            ways = spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]
            if (
                policy["metadata"]["namespace"] == pod.namespace
                and way in ways
                and selects(spec["podSelector"], pod.labels)
            ):
                yield policy

    def _is_peer(self, peer: Pod | str, allowed: list[Json] | None, namespace: str) -> bool:
        if not allowed:
            return True
        return any(self._is_one(peer, each, namespace) for each in allowed)

    def _is_one(self, peer: Pod | str, allowed: Json, namespace: str) -> bool:
        if "ipBlock" in allowed:
            address = ipaddress.ip_address(peer if isinstance(peer, str) else peer.address)
            block = allowed["ipBlock"]
            return address in ipaddress.ip_network(block["cidr"]) and not any(
                address in ipaddress.ip_network(each) for each in block.get("except") or []
            )
        if isinstance(peer, str):
            return False
        if "namespaceSelector" in allowed:
            if not selects(allowed["namespaceSelector"], self._namespaces[peer.namespace]):
                return False
        elif peer.namespace != namespace:
            return False
        return selects(allowed.get("podSelector") or {}, peer.labels)


def _is_port(allowed: list[Json] | None, target: Pod | str, port: int, protocol: str) -> bool:
    if not allowed:
        return True
    names = {} if isinstance(target, str) else target.ports
    for each in allowed:
        first = names.get(each["port"]) if isinstance(each.get("port"), str) else each.get("port", port)
        if (
            each.get("protocol", "TCP") == protocol
            and first is not None
            and first <= port <= each.get("endPort", first)
        ):
            return True
    return False
