"""Forms whose values depend on the policy, on the Workflow's grant, and on the values of its parameters."""

from __future__ import annotations

import re
from collections.abc import Callable

from policy import images
from policy.faults import escape
from policy.forms import (
    DNS_LABEL,
    DNS_NAME,
    FIELDS,
    QUANTITY,
    TEXT,
    VALUES,
    Check,
    Form,
    Json,
    ListOf,
    Only,
    Table,
    shown,
)
from policy.outline import as_list, as_mapping, symbol
from policy.parts import fixed_platform_vars_names, manager_config_maps
from policy.places import absolute_path_fault, origin_of, relative_path_fault

PARTNER_LABEL = "dataPartner"
_LIST = "execution_dataPartnerPatientsList"
PARTNER_SYMBOLS = {symbol("execution_dataPartner"), symbol(f"item.data_partner of {_LIST}")}
_CONFIG_MAP_SYMBOLS = {symbol(f"aiEngine_{word}VarsConfigMapName") for word in ("plaform", "platform")}
_OS_LABELS = {"kubernetes.io/os": ("linux",), "kubernetes.io/arch": ("amd64", "arm64")}

_LABEL_WORD = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


class Path(Form):
    """A path, absolute in a container or relative in a volume, with whatever its references become."""

    def __init__(self, fault: Callable[[str], str]) -> None:
        self._fault = fault

    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, str):
            check.refuse(at, "paths", "must be a string")
            return
        for text in check.becomes(value):
            if problem := self._fault(text):
                check.refuse(at, "paths", f"{shown(text)} {problem}")


class Image(Form):
    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, str):
            check.refuse(at, "images", "must be a string")
            return
        for text in check.becomes(value):
            if not images.is_allowed(text, check.policy, check.grant):
                allowed = "ALLOWED_IMAGES, ALLOWED_IMAGE_REGISTRIES and the registered AI engines"
                check.refuse(at, "images", f"{shown(text)} is not an image allowed by {allowed}")
            elif "\0" not in text:
                check.images[text] = None


class ServiceAccount(Form):
    def check(self, value: Json, at: str, check: Check) -> None:
        if value not in ("", *check.policy.service_accounts):
            allowed = ", ".join(check.policy.service_accounts) or "none"
            check.refuse(
                at, "service-accounts", f"{shown(value)} is not an allowed service account; allowed: {allowed}"
            )


class HostNetwork(Form):
    def check(self, value: Json, at: str, check: Check) -> None:
        if value is not False and not (value is True and check.policy.allow_host_network):
            detail = "asks for the host's network, which needs the setting MANIFEST_ALLOW_HOST_NETWORK"
            check.refuse(at, "no-host-network", detail)


class Namespace(Form):
    def check(self, value: Json, at: str, check: Check) -> None:
        if value not in ("", *check.policy.namespaces):
            check.refuse(at, VALUES, f"{shown(value)} is not the namespace where Workflows run")


class Labels(Form):
    """Labels with plain words as keys: other programs read labels that have a prefix or a dot. `further` are more
    allowed keys."""

    def __init__(self, *further: str) -> None:
        self.further = further

    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, dict):
            check.refuse(at, "labels", "must be an object")
            return
        for key, item in value.items():
            where = f"{at}/{escape(key)}"
            if not isinstance(item, str) or "\0" in item:
                check.refuse(where, "labels", "must be a string")
            elif not self._is_granted(key, item, check) and not self._is_plain(key):
                check.refuse(where, "labels", f"{shown(key)} must be a plain word, without prefix and dots")
            elif "{{" not in item and not self._fits(item):
                check.refuse(where, "labels", f"{shown(item)} is not the value of a label")

    def _is_plain(self, key: str) -> bool:
        return key in self.further or _LABEL_WORD.fullmatch(key) is not None

    def _is_granted(self, key: str, item: str, check: Check) -> bool:
        return check.grant.labels.get(key) == item

    def _fits(self, item: str) -> bool:
        return _LABEL_VALUE.fullmatch(item) is not None


class Annotations(Labels):
    """Annotations: as labels, but with any string as value."""

    def _is_granted(self, key: str, item: str, check: Check) -> bool:
        return key in check.grant.annotations

    def _fits(self, item: str) -> bool:
        return True


class ConfigMapName(Form):
    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, str):
            check.refuse(at, "config-maps", "must be a string")
            return
        allowed = check.grant.config_maps.union(check.policy.config_maps, _CONFIG_MAP_SYMBOLS)
        for text in check.becomes(value):
            if text not in allowed and not self._is_made(text, check):
                detail = f"{shown(text)} is neither made for this Workflow nor listed in MANIFEST_CONFIG_MAPS"
                check.refuse(at, "config-maps", detail)

    def _is_made(self, name: str, check: Check) -> bool:
        """Return whether the orchestrator makes a ConfigMap of that name, or fails where somebody else has made it."""
        spec = check.outline.spec
        return not check.is_rendered and (name in fixed_platform_vars_names(spec) or name in manager_config_maps(spec))


class SecretName(Form):
    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, str):
            check.refuse(at, "secrets", "must be a string")
            return
        for text in check.becomes(value):
            if text not in check.grant.secrets and text not in check.policy.secrets:
                detail = f"{shown(text)} is neither made for this Workflow nor listed in MANIFEST_SECRETS"
                check.refuse(at, "secrets", detail)


class StoreSecretName(SecretName):
    """The Secret with the key of a blob store. Where the engine keeps artifacts itself, it is not read."""

    def check(self, value: Json, at: str, check: Check) -> None:
        is_unread = check.policy.artifact_endpoints is None and isinstance(value, str)
        # The Secrets that the orchestrator makes for its Workflows belong to no store.
        if not is_unread or "{{" in value or value.endswith("-callback"):
            super().check(value, at, check)


class ClaimName(Form):
    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, str):
            check.refuse(at, "volume-claims", "must be a string")
            return
        for text in check.becomes(value):
            if text not in check.grant.volume_claims and text not in check.policy.volume_claims:
                detail = (
                    f"{shown(text)} does not hold a folder of this Workflow's data partners "
                    "and is not listed in MANIFEST_VOLUME_CLAIMS"
                )
                check.refuse(at, "volume-claims", detail)


class ClaimTemplates(Form):
    """Claims that a Workflow makes for itself. The local engine makes folders that end with the Workflow; a cluster
    makes volumes of its storage, which the operator has to allow."""

    def check(self, value: Json, at: str, check: Check) -> None:
        if not check.policy.is_one_machine:
            check.refuse(
                at,
                FIELDS,
                "asks for new volumes; on a cluster the operator has to allow this (MANIFEST_ALLOWED_FIELDS)",
            )
        _CLAIM_TEMPLATES.check(value, at, check)


_STORAGE = Table({"storage": QUANTITY})
_CLAIM_TEMPLATES = ListOf(
    Table(
        {
            "metadata": Table({"name": DNS_LABEL, "labels": Labels()}),
            "spec": Table(
                {
                    "accessModes": ListOf(Only("ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany", "ReadOnlyMany")),
                    "resources": Table({"requests": _STORAGE, "limits": _STORAGE}),
                    "storageClassName": DNS_NAME,
                    "volumeMode": Only("Filesystem"),
                }
            ),
        }
    )
)


class StoreEndpoint(Form):
    """The address of a blob store, exactly as MANIFEST_ARTIFACT_ENDPOINTS lists it."""

    def check(self, value: Json, at: str, check: Check) -> None:
        listed = check.policy.artifact_endpoints
        fits = isinstance(value, str) and (_STORE.fullmatch(value) if listed is None else value in listed)
        if not fits:
            detail = f"{shown(value)} is not listed in MANIFEST_ARTIFACT_ENDPOINTS"
            check.refuse(at, "artifact-stores", detail)


class HttpArtifact(Form):
    """The URL of an artifact: its origin must be listed."""

    def check(self, value: Json, at: str, check: Check) -> None:
        _HTTP_ARTIFACT.check(value, at, check)
        url = as_mapping(value).get("url")
        for text in check.becomes(url) if isinstance(url, str) else ():
            if origin_of(text) not in check.policy.http_origins:
                detail = f"{shown(text)} is not at an address that MANIFEST_HTTP_ARTIFACTS lists"
                check.refuse(at, "artifact-stores", detail)


_HTTP_ARTIFACT = Table({"url": TEXT})

# Also where nothing calls it, it must be a name and not the address of a machine.
_STORE = re.compile(r"(https://)?(?=[^/]*[a-z])([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)+[a-z]{2,}(:443)?/?")


class NodeSelector(Form):
    """Labels of cluster nodes: the central node's, or that of the data partner whom the orchestrator gives."""

    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, dict):
            check.refuse(at, "node-selectors", "must be an object")
            return
        for key, item in value.items():
            check_node_label(key, item, f"{at}/{escape(key)}", check)


def check_node_label(key: str, value: Json, at: str, check: Check) -> None:
    """Report a label of a cluster node that this Workflow may not ask for."""
    if not isinstance(value, str):
        check.refuse(at, "node-selectors", "must be a string")
        return
    central_key, central_value = check.policy.central_node
    for name in check.becomes(key):
        for text in check.becomes(value):
            if name == central_key and text == central_value:
                continue
            if name == PARTNER_LABEL:
                if text not in check.grant.partners and text not in PARTNER_SYMBOLS:
                    detail = f"{shown(text)} is not the data partner that the orchestrator gives to this Workflow"
                    check.refuse(at, "node-selectors", detail)
            elif text not in _OS_LABELS.get(name, ()):
                detail = f"{shown(name)}: {shown(text)} is neither the central node's label nor a data partner's"
                check.refuse(at, "node-selectors", detail)


class NodeTerms(Form):
    """What an affinity asks of a node's labels: one of some values, each checked as in a nodeSelector."""

    def check(self, value: Json, at: str, check: Check) -> None:
        for index, term in enumerate(as_list(value)):
            where = f"{at}/{index}"
            values = as_list(as_mapping(term).get("values"))
            is_whole = isinstance(term, dict) and set(term) == {"key", "operator", "values"}
            if not is_whole or term["operator"] != "In" or not values or not isinstance(term["key"], str):
                check.refuse(where, "node-selectors", "must be a key, the operator In, and values")
                continue
            for number, each in enumerate(values):
                check_node_label(term["key"], each, f"{where}/values/{number}", check)
        if not isinstance(value, list):
            check.refuse(at, "node-selectors", "must be a list")


ABSOLUTE_PATH, RELATIVE_PATH = Path(absolute_path_fault), Path(relative_path_fault)
