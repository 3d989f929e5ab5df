"""A data partner's folder in a pod: its own path, on its own cluster node, read-only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from policy.forms import Check, shown
from policy.guarded import PARTNER_LABEL
from policy.outline import TEMPLATE_DEFAULTS, Outline, as_list, as_mapping, symbol
from policy.places import is_below

RULE = "host-path"
_SEPARATOR = "\x1f"
_LIST = "execution_dataPartnerPatientsList"
# Path → its data partner, for values that only the execution knows.
_SYMBOLS = {
    symbol("execution_dataPartnerDataPath"): symbol("execution_dataPartner"),
    symbol(f"item.data_path of {_LIST}"): symbol(f"item.data_partner of {_LIST}"),
}
_POD_KINDS = ("container", "script", "containerSet")
_OWN = (
    "may only be the data partner's own path ({{workflow.parameters.execution_dataPartnerDataPath}}, "
    "or {{item.data_path}} of execution_dataPartnerPatientsList), without any addition"
)


def check_template(template: Mapping[str, Any], at: str, check: Check) -> None:
    """Report a template whose pods would mount a path of another data partner than the one whose cluster node they run
    on, or would mount it writable."""
    spec = check.outline.spec
    own = dict(_paths(template, at))
    shared = {} if at == TEMPLATE_DEFAULTS else dict(_paths(spec, "/spec"))
    defaults = as_mapping(spec.get("templateDefaults"))
    by_default = {} if at == TEMPLATE_DEFAULTS else dict(_paths(defaults, TEMPLATE_DEFAULTS))
    if not own and not shared and not by_default:
        return
    mounts = list(_mounts(template, at))
    mounted = {mount.get("name") for _, mount in mounts}
    everything = {**shared, **by_default, **own}
    for name, (path, where) in everything.items():
        if name in own or name in mounted:
            _check_path(path, where, _partners(template, at, check), check)
    for where, mount in mounts if check.is_rendered else ():
        if mount.get("name") in everything and mount.get("readOnly") is not True:
            check.refuse(where, RULE, "must be mounted with readOnly: true, since it is a data partner's path")


def check_spec(spec: Mapping[str, Any], check: Check) -> None:
    """Report volumes of the Workflow whose paths no data partner can have."""
    for path, where in dict(_paths(spec, "/spec")).values():
        _check_path(path, where, [""], check, is_placed=False)


def _paths(holder: Mapping[str, Any], at: str) -> Iterator[tuple[str, tuple[str, str]]]:
    for index, volume in enumerate(as_list(holder.get("volumes"))):
        path = as_mapping(as_mapping(volume).get("hostPath")).get("path")
        if isinstance(path, str):
            yield str(volume.get("name")), (path, f"{at}/volumes/{index}/hostPath/path")


def _mounts(template: Mapping[str, Any], at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    holders = [(f"{at}/{kind}", template.get(kind)) for kind in _POD_KINDS]
    for kind in ("initContainers", "sidecars"):
        holders += [(f"{at}/{kind}/{index}", each) for index, each in enumerate(as_list(template.get(kind)))]
    grouped = as_list(as_mapping(template.get("containerSet")).get("containers"))
    holders += [(f"{at}/containerSet/containers/{index}", each) for index, each in enumerate(grouped)]
    for where, holder in holders:
        for index, mount in enumerate(as_list(as_mapping(holder).get("volumeMounts"))):
            yield f"{where}/volumeMounts/{index}", as_mapping(mount)


def _partners(template: Mapping[str, Any], at: str, check: Check) -> list[str]:
    """Return the data partner to whose nodes a template's pods are bound, as the manifest writes it, or ''.

    Each of nodeSelector and affinity is the template's own, else that of the template that calls it, else the
    Workflow's; templateDefaults lie below both templates.
    """
    outline, found = check.outline, dict[str, None]()
    for caller in {call.within: None for call in outline.calls_of(at)} or {"": None}:
        calling = outline.templates.get(caller, {})
        own, above = _placing(template, outline), _placing(calling, outline) if caller else {}
        holders: list[tuple[Mapping[str, Any], str]] = [(own, ""), (above, caller)]
        holders.append((outline.spec, ""))
        for name, read in (("nodeSelector", _of_selector), ("affinity", _of_affinity)):
            holder, where = next((each for each in holders if each[0].get(name)), ({}, ""))
            texts = read(as_mapping(holder.get(name)))
            if texts:
                # References of a caller are filled in at the caller's place.
                found.update(
                    (each, None) for text in texts for each in (outline.becomes(text, where) if where else [text])
                )
                break
        else:
            found[""] = None
    return list(found)


def _placing(template: Mapping[str, Any], outline: Outline) -> dict[str, Any]:
    defaults = as_mapping(outline.spec.get("templateDefaults"))
    selector = {**as_mapping(defaults.get("nodeSelector")), **as_mapping(template.get("nodeSelector"))}
    return {"nodeSelector": selector, "affinity": template.get("affinity") or defaults.get("affinity")}


def _of_selector(selector: Mapping[str, Any]) -> list[str]:
    wanted = selector.get(PARTNER_LABEL)
    return [wanted] if isinstance(wanted, str) else []


def _of_affinity(affinity: Mapping[str, Any]) -> list[str]:
    required = as_mapping(
        as_mapping(affinity.get("nodeAffinity")).get("requiredDuringSchedulingIgnoredDuringExecution")
    )
    found: list[str] = []
    for term in as_list(required.get("nodeSelectorTerms")):
        expressions = as_list(as_mapping(term).get("matchExpressions"))
        values = [as_list(each.get("values")) for each in expressions if as_mapping(each).get("key") == PARTNER_LABEL]
        # A node has to match one of the terms, with all expressions of that term.
        found += [str(value) for value in values[0]] if values else [""]
    return found


def _check_path(path: str, at: str, partners: list[str], check: Check, *, is_placed: bool = True) -> None:
    for partner in partners:
        for text in check.becomes(f"{partner}{_SEPARATOR}{path}"):
            whose, _, where = text.partition(_SEPARATOR)
            if where == "" and check.is_rendered:
                continue  # A data partner without a path: nothing is mounted.
            if problem := _fault(whose, where, path, check, is_placed):
                check.refuse(at, RULE, problem)


def _fault(partner: str, path: str, written: str, check: Check, is_placed: bool) -> str:
    if not check.is_rendered:
        return _symbolic_fault(partner, path, written)
    granted = check.grant.partners
    if partner and partner not in granted:
        return (
            f"{shown(path)} would be mounted on the node of {shown(partner)}, "
            "which is not a data partner of this Workflow"
        )
    if not partner and is_placed and not check.policy.is_one_machine:
        return "a pod that mounts a data partner's path needs that partner's node: nodeSelector {dataPartner: …}"
    roots = granted[partner] if partner else [root for each in granted.values() for root in each]
    if is_below(path, roots):
        return ""
    whose = partner or ", ".join(granted) or "any data partner"
    return f"{shown(path)} does not lie below a folder that DATA_PARTNER_PATHS lists for {whose}"


def _symbolic_fault(partner: str, path: str, written: str) -> str:
    if path not in _SYMBOLS:
        return _OWN if path == written else f"{_OWN}; it can become {shown(path) or 'an empty string'}"
    return (
        ""
        if partner in ("", _SYMBOLS[path])
        else f"{_OWN}; on the node of {shown(partner)} it is another data partner's path"
    )
