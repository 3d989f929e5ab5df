"""Which callback token the containers of each template get: by role and by data partner; pure.

All tokens of a Workflow lie in one Secret, each under a key: `main`, `server`, or `client.<data partner>`. The clients
of all data partners are one template, so the key in it holds the tag that names the template's data partner
(`client.{{inputs.parameters.data_partner}}`); both engines replace that tag like any other.

Other manifests are read in the same way. If the data partner of a container cannot be determined, the container gets
the token with the fewest rights, `client`, which belongs to no data partner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from executions.callers import TAG, Callers, Template
from policy.parts import containers_of
from web.grants import Role

CALLBACK_TOKEN_ENV = "ORCHESTRATOR_CALLBACK_TOKEN"  # noqa: S105 - the variable's name, not its value
MANAGER_IMAGE = "federated-learning-manager"

_PARTNER_LABEL = "dataPartner"
# The key in Workflows that were rendered before tokens had roles.
_KEY_WITHOUT_ROLE = "token"


@dataclass(frozen=True)
class Holder:
    """Who holds a token: a role, and a data partner or none."""

    role: Role
    partner: str = ""


def image_name(container: Mapping[str, Any]) -> str:
    """Return the name of a container's image without registry, tag and digest."""
    return str(container.get("image", "")).rpartition("/")[2].partition("@")[0].partition(":")[0]


class TokenKeys:
    """The keys of the tokens that the templates of a Workflow get.

    `spec` is the Workflow's, with the values of its arguments; `partners` are the names of its execution's.
    """

    def __init__(self, spec: Mapping[str, Any], partners: Sequence[str], federated: bool) -> None:
        self._spec, self._partners = spec, frozenset(partners)
        self._of_partner = Role.CLIENT if federated else Role.MAIN
        # If all containers work on the data of one data partner, or of none, the tokens need no partner.
        self._callers = Callers(spec) if federated or len(partners) > 1 else None

    def of(self, template: Template) -> str:
        """Return the key for a template's containers."""
        if self._callers is None:
            return Role.MAIN
        manager = self._manager_role(template, self._callers)
        if manager is Role.SERVER:
            return Role.SERVER
        partner = self._partner(template, self._callers)
        if partner:
            return f"{self._of_partner}.{partner}"
        is_default = template is self._spec.get("templateDefaults")
        if partner is None or manager or is_default or self._is_repeated(template, self._callers):
            return Role.CLIENT
        return Role.MAIN

    def _manager_role(self, template: Template, callers: Callers) -> Role | None:
        """Return the role of the federated manager in a template; `client` if the role cannot be determined."""
        managers = [each for each in containers_of(template) if image_name(each) == MANAGER_IMAGE]
        if not managers:
            return None
        words = {word for manager in managers for word in callers.origins(_word(manager, 0), template)}
        return Role.SERVER if words == {"server"} else Role.CLIENT

    def _partner(self, template: Template, callers: Callers) -> str | None:
        """Return the text that names a template's data partner: a name or one tag; '' if the template has none.

        None if the template is called both with and without a data partner. The placement of its pods decides first,
        then the id of a client, then the arguments of the steps that call it.
        """
        for text in self._placements(template):
            verdicts = self._verdicts(text, template, callers)
            # A value known only at run time is accepted here: the pod and its token then go to the same data partner.
            if verdicts == {True} or (verdicts == {None} and TAG.fullmatch(text)):
                return text.strip()
            if len(verdicts) > 1:
                return None
        names = [str(each.get("name")) for each in (template.get("inputs") or {}).get("parameters") or []]
        inputs = (f"{{{{inputs.parameters.{name}}}}}" for name in names)
        texts = [*_client_ids(template), *inputs]
        return next((text.strip() for text in texts if self._verdicts(text, template, callers) == {True}), "")

    def _verdicts(self, text: str, template: Template, callers: Callers) -> set[bool | None]:
        """Return whether the possible sources of a text name a data partner; None for one known only at run time."""
        origins = callers.origins(text, template)
        return {None if "{{" in origin else origin in self._partners for origin in origins}

    def _placements(self, template: Template) -> Iterator[str]:
        """Yield the texts that place a template's pods on a data partner's cluster nodes."""
        layers = (template, self._spec.get("templateDefaults") or {}, self._spec)
        own, default, shared = (each.get("nodeSelector") or {} for each in layers)
        # As the engines place a pod: the labels of the defaults stay beside the template's own.
        selector: Mapping[str, Any] = {**default, **own} or shared
        if selector.get(_PARTNER_LABEL):
            yield str(selector[_PARTNER_LABEL])
        affinity: Mapping[str, Any] = next((each["affinity"] for each in layers if each.get("affinity")), {})
        for rule in _objects(affinity.get("nodeAffinity")):
            values = rule.get("values") or []
            if rule.get("key") == _PARTNER_LABEL and rule.get("operator") == "In" and len(values) == 1:
                yield str(values[0])

    def _is_repeated(self, template: Template, callers: Callers) -> bool:
        """Return whether a template may be called once for each data partner, directly or through other steps."""
        seen: set[int] = set()
        todo: list[Template | None] = [template]
        while todo:
            place = todo.pop()
            if place is None or id(place) in seen:
                continue
            seen.add(id(place))
            for call in callers.of(place):
                items = callers.items(call)
                if items is None or any(self._partners & set(map(str, _leaves(item))) for item in items):
                    return True
                todo.append(call.within)
        return False


def holders(
    manifest: Mapping[str, Any], secret_name: str, partners: Sequence[str], federated: bool
) -> dict[str, Holder]:
    """Return the holders of the tokens in a rendered Workflow's Secret, by the keys that its containers refer to."""
    keys = {
        key
        for value in _objects(manifest.get("spec"))
        if value.get("name") == secret_name and isinstance(key := value.get("key"), str)
    }
    found: dict[str, Holder] = {}
    for key in keys:
        if key == _KEY_WITHOUT_ROLE:
            # The Secret's name has a random end, so a container that refers to it was rendered here.
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
    words = container.get("args") or []
    return str(words[index]) if index < len(words) else ""


def _client_ids(template: Template) -> Iterator[str]:
    """Yield the CLIENT_ID of the federated managers in a template (contracts/federated-protocol.md)."""
    managers = (each for each in containers_of(template) if image_name(each) == MANAGER_IMAGE)
    yield from filter(None, (_word(manager, 2) for manager in managers))


def _leaves(item: Any) -> list[Any]:
    return list(item.values()) if isinstance(item, dict) else [item]


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _objects(item)
