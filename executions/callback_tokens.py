"""Which callback token each template's containers get: by role, and by the data partner that they work for; pure.

All tokens of a Workflow lie in one Secret, each under a key: `main`, `server`, or `client.<data partner>`. The clients
of all data partners are one template, so the key that stands in it holds the very tag by which the template knows its
partner (`client.{{inputs.parameters.data_partner}}`); both engines fill it in as they fill in the rest.

Manifests of others are read in the same way. Where it cannot be found whose data a container works on, it gets the
token that reaches least, `client`, which speaks for no data partner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.manifest.outline import TAG, TEMPLATE_DEFAULTS, WORKFLOW_PARAMETER, Call, Outline, as_list, as_mapping
from web.grants import Role

CALLBACK_TOKEN_ENV = "ORCHESTRATOR_CALLBACK_TOKEN"  # noqa: S105 - the variable's name, not its value
MANAGER_IMAGE = "federated-learning-manager"

_PARTNER_LABEL = "dataPartner"
_PARTNER_OF_LIST = "{{item.data_partner}} of {{workflow.parameters.execution_dataPartnerPatientsList}}"
# The key of Workflows that were rendered before there were roles.
_KEY_WITHOUT_ROLE = "token"
_NO_STEP: Mapping[str, Any] = {}

Template = Mapping[str, Any]


@dataclass(frozen=True)
class Holder:
    """For whom a token is: a role, and a data partner or nobody's."""

    role: Role
    partner: str = ""


def image_name(container: Mapping[str, Any]) -> str:
    """Return the name of a container's image without registry, tag and digest."""
    return str(container.get("image", "")).rpartition("/")[2].partition("@")[0].partition(":")[0]


def containers_of(template: Template) -> Iterator[dict[str, Any]]:
    """Yield the containers of a template, whichever way it has them."""
    grouped = as_list(as_mapping(template.get("containerSet")).get("containers"))
    single = [template.get("container"), template.get("script")]
    beside = [*(template.get("initContainers") or []), *(template.get("sidecars") or [])]
    yield from (container for container in [*single, *beside, *grouped] if isinstance(container, dict))


class TokenKeys:
    """The keys of the tokens that a Workflow's templates get.

    `parameters` are what the orchestrator gives to it; `partners` the names of its execution's data partners.
    """

    def __init__(
        self, workflow: Mapping[str, Any], parameters: Mapping[str, str], partners: Sequence[str], federated: bool
    ) -> None:
        self._parameters, self._partners = parameters, frozenset(partners)
        self._of_partner = Role.CLIENT if federated else Role.MAIN
        # Where all containers work on the data of the same partner, or of none, there is nothing to tell apart.
        self._outline = Outline(workflow, frozenset(parameters)) if federated or len(partners) > 1 else None
        templates = self._outline.templates if self._outline else {}
        self._pointers = {id(template): pointer for pointer, template in templates.items()}

    def of(self, template: Template) -> str:
        """Return the key for a template's containers."""
        if self._outline is None:
            return Role.MAIN
        pointer = self._pointers.get(id(template), TEMPLATE_DEFAULTS)
        manager = self._manager_role(template, pointer, self._outline)
        if manager is Role.SERVER:
            return Role.SERVER
        partner = self._partner(template, pointer, self._outline)
        if partner:
            return f"{self._of_partner}.{partner}"
        is_told = partner == "" and not manager and pointer != TEMPLATE_DEFAULTS
        if is_told and not _is_repeated(pointer, self._outline, self._partners):
            return Role.MAIN
        return Role.CLIENT

    def _manager_role(self, template: Template, pointer: str, outline: Outline) -> Role | None:
        """Return the role of the federated manager in a template; a client where it cannot be told."""
        managers = [each for each in containers_of(template) if image_name(each) == MANAGER_IMAGE]
        if not managers:
            return None
        words = {_word(manager, 0) for manager in managers}
        origins = {origin for word in words for origin in outline.origins(word, pointer)}
        return Role.SERVER if origins == {"server"} else Role.CLIENT

    def _partner(self, template: Template, pointer: str, outline: Outline) -> str | None:
        """Return the text by which a template knows its data partner: a name, or one tag; '' where it knows none.

        None where it is called for data partners and for others. Where it is placed decides, then the id of a client,
        then what the steps that call it pass on.
        """
        for text in _placements(template, outline.spec):
            verdicts = self._verdicts(text, pointer, outline)
            # What only the run will tell is good enough here: the container goes where its token belongs.
            if verdicts == {True} or (verdicts == {None} and TAG.fullmatch(text)):
                return text
            if len(verdicts) > 1:
                return None
        inputs = (f"{{{{inputs.parameters.{name}}}}}" for name in outline.inputs(pointer))
        known = (text for text in [*_client_ids(template), *inputs] if self._verdicts(text, pointer, outline) == {True})
        return next(known, "")

    def _verdicts(self, text: str, pointer: str, outline: Outline) -> set[bool | None]:
        """Return whether all that a text can become names a data partner; None for what only the run will tell."""
        place, step = _scope(text, pointer, outline)
        return {self._names_partner(origin) for origin in outline.origins(text, place, step)}

    def _names_partner(self, origin: str) -> bool | None:
        if origin == _PARTNER_OF_LIST:
            return True
        tag = TAG.fullmatch(origin)
        name = tag[1].strip().removeprefix(WORKFLOW_PARAMETER) if tag else ""
        if name in self._parameters:
            origin = self._parameters[name]
        return None if "{{" in origin else origin in self._partners


def holders(
    manifest: Mapping[str, Any], secret_name: str, partners: Sequence[str], federated: bool
) -> dict[str, Holder]:
    """Return whose tokens the Secret of a rendered Workflow must hold, by the keys that its containers name."""
    keys = {
        key
        for value in _objects(manifest.get("spec"))
        if value.get("name") == secret_name and isinstance(key := value.get("key"), str)
    }
    found: dict[str, Holder] = {}
    for key in keys:
        if key == _KEY_WITHOUT_ROLE:
            # The Secret's name has a random end, so whoever names it was rendered here.
            found[key] = Holder(Role.WORKFLOW)
            continue
        word, _, named = key.partition(".")
        if word not in (Role.MAIN, Role.SERVER, Role.CLIENT):
            continue
        role = Role(word)
        if named:
            found |= {f"{role}.{each}": Holder(role, each) for each in partners if "{{" in named or each == named}
        else:
            is_only_one = role is Role.MAIN and not federated and len(partners) == 1
            found[key] = Holder(role, partners[0] if is_only_one else "")
    return found


def _word(container: Mapping[str, Any], index: int) -> str:
    words = as_list(container.get("args"))
    return str(words[index]) if index < len(words) else ""


def _placements(template: Template, spec: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts that say on which data partner's node a template's pods run."""
    layers = (template, as_mapping(spec.get("templateDefaults")), spec)
    selectors = [as_mapping(layer.get("nodeSelector")) for layer in layers]
    selector = next((each for each in selectors if each), {})
    if selector.get(_PARTNER_LABEL):
        yield str(selector[_PARTNER_LABEL])
    affinity = next((as_mapping(layer.get("affinity")) for layer in layers if layer.get("affinity")), {})
    for rule in _objects(affinity.get("nodeAffinity")):
        values = as_list(rule.get("values"))
        if rule.get("key") == _PARTNER_LABEL and rule.get("operator") == "In" and len(values) == 1:
            yield str(values[0])


def _client_ids(template: Template) -> Iterator[str]:
    """Yield the CLIENT_ID of the federated managers in a template (contracts/federated-protocol.md)."""
    managers = (each for each in containers_of(template) if image_name(each) == MANAGER_IMAGE)
    yield from filter(None, (_word(manager, 2) for manager in managers))


def _scope(text: str, pointer: str, outline: Outline) -> tuple[str, Mapping[str, Any]]:
    """Return where a text of a template is to be read, and in which step: the items of an inline one are its step's."""
    calls = outline.calls_of(pointer) if pointer.endswith("/inline") and "inputs.parameters" not in text else []
    return (calls[0].within, calls[0].step) if calls else (pointer, _NO_STEP)


def _is_repeated(pointer: str, outline: Outline, partners: frozenset[str]) -> bool:
    """Return whether a template may be called once for each data partner, by whichever steps lead to it."""
    seen: set[str] = set()
    todo = [pointer]
    while todo:
        place = todo.pop()
        if place in seen:
            continue
        seen.add(place)
        calls = outline.calls_of(place)
        if any(_repeats(call, partners) for call in calls):
            return True
        todo += [call.within for call in calls]
    return False


def _repeats(call: Call, partners: frozenset[str]) -> bool:
    items = as_list(call.step.get("withItems"))
    names = {str(value) for item in items for value in (item.values() if isinstance(item, dict) else [item])}
    return bool(call.step.get("withParam") or call.step.get("withSequence") or names & partners)


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _objects(item)
