"""Forms whose values are held to the policy, to what a Workflow was granted, and to what its parameters become."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from policy import images
from policy.faults import ManifestFault, Unreadable, escape
from policy.forms import VALUES, Check, Form, Json, shown
from policy.outline import SYMBOL, TEMPLATE_DEFAULTS, as_list, as_mapping, symbol
from policy.places import absolute_path_fault, relative_path_fault
from policy.reading import read

PARTNER_LABEL = "dataPartner"
_LIST = "execution_dataPartnerPatientsList"
PARTNER_SYMBOLS = {symbol("execution_dataPartner"), symbol(f"item.data_partner of {_LIST}")}
_CONFIG_MAP_SYMBOLS = {symbol(f"aiEngine_{word}VarsConfigMapName") for word in ("plaform", "platform")}
_OS_LABELS = {"kubernetes.io/os": ("linux",), "kubernetes.io/arch": ("amd64", "arm64")}
PLATFORM_VARS_KEY = "platform_vars.json"

_LABEL_WORD = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
# Typed by users: good inside the quotes of a JSON text, and nowhere else.
_USER_TEXT = re.compile(r"\0execution_outputAIModel[^\0]*\0")


class Path(Form):
    """A path, absolute in a container or relative in a volume, in whatever its references become."""

    def __init__(self, fault: Callable[[str], str]) -> None:
        self._fault = fault

    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, str):
            check.refuse(at, "paths", "must be a text")
            return
        for text in check.becomes(value):
            if problem := self._fault(text):
                check.refuse(at, "paths", f"{shown(text)} {problem}")


class Image(Form):
    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, str):
            check.refuse(at, "images", "must be a text")
            return
        for text in check.becomes(value):
            if not images.is_allowed(text, check.policy, check.grant):
                allowed = "ALLOWED_IMAGES, ALLOWED_IMAGE_REGISTRIES and the registered AI engines"
                check.refuse(at, "images", f"{shown(text)} is not among the images allowed by {allowed}")
            elif "\0" not in text:
                check.images[text] = None


class ServiceAccount(Form):
    def check(self, value: Json, at: str, check: Check) -> None:
        if value not in ("", *check.policy.service_accounts):
            allowed = ", ".join(check.policy.service_accounts) or "none"
            check.refuse(at, "service-accounts", f"{shown(value)} is not among those allowed: {allowed}")


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
    """Labels with plain words as keys; a prefix or a dot would make one that other programs heed. `further` may stand
    there too."""

    def __init__(self, *further: str) -> None:
        self.further = further

    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, dict):
            check.refuse(at, "labels", "must be an object")
            return
        for key, item in value.items():
            where = f"{at}/{escape(key)}"
            if not isinstance(item, str) or "\0" in item:
                check.refuse(where, "labels", "must be a text")
            elif not self._is_granted(key, item, check) and not self._is_plain(key):
                check.refuse(where, "labels", f"{shown(key)} is not a plain word, without prefix and dots")
            elif "{{" not in item and not self._fits(item):
                check.refuse(where, "labels", f"{shown(item)} is not the value of a label")

    def _is_plain(self, key: str) -> bool:
        return key in self.further or _LABEL_WORD.fullmatch(key) is not None

    def _is_granted(self, key: str, item: str, check: Check) -> bool:
        return check.grant.labels.get(key) == item

    def _fits(self, item: str) -> bool:
        return _LABEL_VALUE.fullmatch(item) is not None


class Annotations(Labels):
    """Annotations, as labels but with any text as values."""

    def _is_granted(self, key: str, item: str, check: Check) -> bool:
        return key in check.grant.annotations

    def _fits(self, item: str) -> bool:
        return True


class ConfigMapName(Form):
    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, str):
            check.refuse(at, "config-maps", "must be a text")
            return
        allowed = check.grant.config_maps.union(check.policy.config_maps, _CONFIG_MAP_SYMBOLS)
        for text in check.becomes(value):
            if text not in allowed and not self._is_made(text, check):
                detail = f"{shown(text)} is neither made for this Workflow nor listed in MANIFEST_CONFIG_MAPS"
                check.refuse(at, "config-maps", detail)

    def _is_made(self, name: str, check: Check) -> bool:
        """Return whether the orchestrator will make a ConfigMap of that name, or fail where somebody else has."""
        return not check.is_rendered and name in fixed_platform_vars_names(check.outline.spec)


class SecretName(Form):
    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, str):
            check.refuse(at, "secrets", "must be a text")
            return
        for text in check.becomes(value):
            if text not in check.grant.secrets and text not in check.policy.secrets:
                detail = f"{shown(text)} is neither made for this Workflow nor listed in MANIFEST_SECRETS"
                check.refuse(at, "secrets", detail)


class StoreSecretName(SecretName):
    """The Secret that opens a blob store. Where artifacts go to no store, nobody reads it."""

    def check(self, value: Json, at: str, check: Check) -> None:
        is_unread = check.policy.artifact_endpoints is None and isinstance(value, str)
        # What the orchestrator makes for its Workflows is no store's, whatever reads it.
        if not is_unread or "{{" in value or value.endswith("-callback"):
            super().check(value, at, check)


class ClaimName(Form):
    def check(self, value: Json, at: str, check: Check) -> None:
        if value not in check.policy.volume_claims:
            check.refuse(at, "volume-claims", f"{shown(value)} is not listed in MANIFEST_VOLUME_CLAIMS")


class StoreEndpoint(Form):
    """The address of a blob store, as it is listed."""

    def check(self, value: Json, at: str, check: Check) -> None:
        listed = check.policy.artifact_endpoints
        fits = isinstance(value, str) and (_STORE.fullmatch(value) if listed is None else value in listed)
        if not fits:
            detail = f"{shown(value)} is not listed in MANIFEST_ARTIFACT_ENDPOINTS"
            check.refuse(at, "artifact-stores", detail)


# Where nobody calls it, it must still be the name of a store and not the address of a machine.
_STORE = re.compile(r"(https://)?(?=[^/]*[a-z])([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)+[a-z]{2,}(:443)?/?")


class NodeSelector(Form):
    """Labels of nodes: the central node's, or the data partner's that the orchestrator gives."""

    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, dict):
            check.refuse(at, "node-selectors", "must be an object")
            return
        for key, item in value.items():
            check_node_label(key, item, f"{at}/{escape(key)}", check)


def check_node_label(key: str, value: Json, at: str, check: Check) -> None:
    """Tell a check where a label of a node is not one that this Workflow may ask for."""
    if not isinstance(value, str):
        check.refuse(at, "node-selectors", "must be a text")
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
    """What an affinity asks of a node's labels: one of some values, each as in a nodeSelector."""

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


class Patch(Form):
    """The text of a podSpecPatch, in whatever its references become, held to the table of a pod.

    Argo reads it as YAML, lays it over the pod by Kubernetes' strategic merge, and lets a reader take it that minds no
    case: so only exact names pass, none of them twice, and no directive (`$patch`).
    """

    def __init__(self) -> None:
        self.table: Form | None = None

    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, str):
            check.refuse(at, "pod-spec-patch", "must be a text")
            return
        assert self.table is not None
        for text in check.becomes(value):
            opened = _TAGS.search(text) or (None if check.is_rendered else _USER_TEXT.search(text))
            if opened:
                check.refuse(at, "pod-spec-patch", f"nobody knows beforehand what {shown(opened[0])} becomes inside it")
                continue
            marks = {symbol(name): f"known-later-{number}-" for number, name in enumerate(_names(text))}
            marked = text
            for meant, mark in marks.items():
                marked = marked.replace(meant, mark)
            try:
                patch = _read_patch(marked)
            except Unreadable as error:
                check.refuse(at, "pod-spec-patch", f"its text {error.fault.detail}")
                continue
            inner = check.of_patch(patch, at, {mark: meant for meant, mark in marks.items()})
            self.table.check(patch, "", inner)
            _check_names(patch, inner)
            for fault in inner.faults:
                check.add(ManifestFault(at, f"{fault.detail} (in the patch at {fault.pointer or '/'})"))


_TAGS = re.compile(r"\{\{.*?\}\}|\{\{", re.DOTALL)


def _check_names(patch: Mapping[str, Any], check: Check) -> None:
    """Refuse changes of containers that are not the manifest's own: others are Argo's, and further ones nobody's."""
    outline = check.outline
    own = outline.templates.get(check.template)
    templates = list(templates_of(outline.spec)) if own is None or check.template == TEMPLATE_DEFAULTS else [own]
    names = {"main", *(each.get("name") for template in templates for each in containers_of(template))}
    for kind in ("containers", "initContainers"):
        for index, container in enumerate(as_list(patch.get(kind))):
            name = as_mapping(container).get("name")
            if not isinstance(name, str) or name not in names:
                words = f"{shown(name)} is none of the manifest's containers"
                check.refuse(f"/{kind}/{index}/name", "pod-spec-patch", words)


def _names(text: str) -> Iterator[str]:
    """Yield the names of the parameters that only an execution will have a value for."""
    yield from dict.fromkeys(SYMBOL.findall(text))


def _read_patch(text: str) -> dict[str, Any]:
    """Return the object that a patch holds. Raises Unreadable."""
    try:
        patch = json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_number)
    except (ValueError, RecursionError):
        # Argo's reader takes JSON as YAML; JSON alone is read faster.
        return read(text.encode("utf-8", "surrogatepass")).value
    if not isinstance(patch, dict):
        raise Unreadable(ManifestFault("", "must be an object"))
    return patch


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unreadable(ManifestFault("", "names a key twice"))
    return found


def _no_number(text: str) -> float:
    raise Unreadable(ManifestFault("", f"holds {text}, which JSON does not know"))


def fixed_platform_vars_names(spec: Mapping[str, Any]) -> set[str]:
    """Return the ConfigMap names that a manifest writes out itself and mounts the platform's variables from.

    The orchestrator makes a ConfigMap of each such name.
    """
    templates = list(templates_of(spec))
    mounted = {
        as_mapping(mount).get("name")
        for template in templates
        for holder in (*containers_of(template), as_mapping(template.get("containerSet")))
        for mount in as_list(holder.get("volumeMounts"))
        if as_mapping(mount).get("subPath") == PLATFORM_VARS_KEY
    }
    found = set()
    for holder in (spec, *templates):
        for volume in as_list(holder.get("volumes")):
            name = as_mapping(as_mapping(volume).get("configMap")).get("name")
            if as_mapping(volume).get("name") in mounted and isinstance(name, str) and name and "{{" not in name:
                found.add(name)
    return found


def templates_of(spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every template of a Workflow's spec, its defaults and those within steps included."""
    roots = [*as_list(spec.get("templates")), spec.get("templateDefaults")]
    while roots:
        template = roots.pop()
        if isinstance(template, dict):
            yield template
            steps = [step for group in as_list(template.get("steps")) for step in as_list(group)]
            tasks = as_list(as_mapping(template.get("dag")).get("tasks"))
            roots += [as_mapping(step).get("inline") for step in (*steps, *tasks)]


def containers_of(template: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every container of a template."""
    grouped = as_list(as_mapping(template.get("containerSet")).get("containers"))
    beside = [*as_list(template.get("initContainers")), *as_list(template.get("sidecars"))]
    for container in (template.get("container"), template.get("script"), *beside, *grouped):
        if isinstance(container, dict):
            yield container


ABSOLUTE_PATH, RELATIVE_PATH = Path(absolute_path_fault), Path(relative_path_fault)
