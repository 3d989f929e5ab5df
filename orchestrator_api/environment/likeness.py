"""Unknown variables that look like a setting: most are typing mistakes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher, get_close_matches

from orchestrator_api.logs import escaped

# Only this service's variables begin so.
_OURS = (
    "AI_ENGINE_",
    "ALLOWED_IMAGE",
    "ARGO_WORKFLOWS_",
    "CALLBACK_TOKEN_",
    "DATABASE_",
    "DATA_PARTNER_",
    "EXECUTION_",
    "FEDERATED_",
    "LOCAL_ENGINE_",
    "LOGIN_FAILURES_",
    "MAAS_API_",
    "MANIFEST_",
    "ORCHESTRATOR_API_",
    "PLATFORM_CENTRAL_",
    "PROCESSOR_RESOURCE_MANAGER_",
    "VALID_AI_",
    "VALID_DATA_",
    "WORKFLOW_CALLBACKS_",
)
_IN_FRONT = ("DJANGO_", "ORCHESTRATOR_", "APP_")
_LIKE, _LEAST_LETTERS = 0.87, 5
# The variables that Kubernetes sets in a pod for each Service of its namespace:
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_OF_A_SERVICE = re.compile(r".*_SERVICE_(HOST|PORT(_.*)?)|.*_PORT_[0-9]+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?")
_ADDRESS_OF_A_SERVICE = re.compile(r"(tcp|udp|sctp)://.*")


def is_of_a_service(name: str, value: str) -> bool:
    """Return whether Kubernetes has set a variable, for a Service in the pod's namespace."""
    is_address = name.endswith("_PORT") and _ADDRESS_OF_A_SERVICE.fullmatch(value) is not None
    return is_address or _OF_A_SERVICE.fullmatch(name) is not None


def unknown_like_ours(given: Mapping[str, str], known: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each variable that is not known but looks like a setting; its value is not shown."""
    for name, value in sorted(given.items()):
        if name not in known and not is_of_a_service(name, value) and (meant := _meant(name, known)):
            yield f"{escaped(name)} is not a setting and is not read: did you mean {meant}?"


def _meant(name: str, known: Sequence[str]) -> str:
    """Return the setting that a name was meant for, or an empty text."""
    plain = re.sub("[^A-Z0-9]+", "_", name.upper()).strip("_")
    for prefix in ("", *_IN_FRONT):
        if plain.startswith(prefix) and (bare := plain.removeprefix(prefix)) in known:
            return bare
    if len(plain) < _LEAST_LETTERS:
        return ""
    if longer := [each for each in known if each.startswith(plain) and "_" in plain]:
        return min(longer, key=len)
    bare = plain.replace("_", "")
    # Of two names that differ only in underscores the first counts.
    by_letters = {each.replace("_", ""): each for each in reversed(known)}
    if close := get_close_matches(bare, by_letters, 1, _LIKE):
        return by_letters[close[0]]
    if plain.startswith(_OURS):
        return max(known, key=lambda each: SequenceMatcher(None, plain, each).ratio())
    return ""
