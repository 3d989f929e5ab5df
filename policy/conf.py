"""The policy of this installation, from its settings."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core import checks

from policy.allowed_fields import allowed_fields, field_complaints
from policy.images import pattern_complaint
from policy.places import folder_complaints, origin_of
from policy.rules import PLAIN_IMAGES, SHIPPED_IMAGES, Policy

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_NAMED = {
    "MANIFEST_SERVICE_ACCOUNTS": "service accounts",
    "MANIFEST_CONFIG_MAPS": "ConfigMaps",
    "MANIFEST_SECRETS": "Secrets",
    "MANIFEST_VOLUME_CLAIMS": "volume claims",
}


def installed_policy(engine: str | None = None) -> Policy:
    """Return what this installation allows the Workflows of an engine, or of any of its engines."""
    engines = [engine] if engine else list(settings.ENGINES)
    local = [alias for alias in engines if _is_local(alias)]
    central = (settings.CENTRAL_NODE_LABEL_KEY, settings.CENTRAL_NODE_LABEL_VALUE)
    fixed = (settings.AI_ENGINE_CONFIG_MAP_NAME,) if settings.AI_ENGINE_CONFIG_MAP_NAME else ()
    return Policy(
        service_accounts=tuple(settings.MANIFEST_SERVICE_ACCOUNTS),
        allow_host_network=settings.MANIFEST_ALLOW_HOST_NETWORK,
        images=(*settings.ALLOWED_IMAGES, *_local_images(local)),
        image_registries=tuple(settings.ALLOWED_IMAGE_REGISTRIES),
        config_maps=(*settings.MANIFEST_CONFIG_MAPS, *fixed),
        secrets=tuple(settings.MANIFEST_SECRETS),
        volume_claims=tuple(settings.MANIFEST_VOLUME_CLAIMS),
        # The local engine keeps artifacts itself.
        artifact_endpoints=None if engines == local else tuple(settings.MANIFEST_ARTIFACT_ENDPOINTS),
        http_origins=tuple(settings.MANIFEST_HTTP_ARTIFACTS),
        namespaces=(settings.ARGO_NAMESPACE or "argo",),
        central_node=central,
        known=(
            ("platform_imageRegistry", settings.IMAGE_REGISTRY),
            ("platform_processorResourceManagerVersion", settings.PROCESSOR_RESOURCE_MANAGER_VERSION),
            ("platform_federatedLearningManagerVersion", settings.FEDERATED_LEARNING_MANAGER_VERSION),
            ("platform_centralNodeLabelKey", central[0]),
            ("platform_centralNodeLabelValue", central[1]),
        ),
        allowed_fields=allowed_fields(settings.MANIFEST_ALLOWED_FIELDS),
        is_one_machine=engines == local,
    )


def partner_roots(partner: str) -> tuple[str, ...]:
    """Return the folders below which a data partner's path may lie."""
    return tuple(settings.DATA_PARTNER_PATHS.get(partner, ()))


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """Check that the settings of the policy are well formed."""
    return [checks.Error(words, id=id_) for id_, words in _complaints()]


def _complaints() -> Iterator[tuple[str, str]]:
    for name, what in _NAMED.items():
        for each in getattr(settings, name):
            if not _NAME.fullmatch(each):
                yield "policy.E001", f"{name} lists the exact names of {what}; {each!r} is not a name."
    for pattern in settings.ALLOWED_IMAGES:
        if problem := pattern_complaint(pattern):
            yield "policy.E002", f"ALLOWED_IMAGES: {pattern!r} {problem}."
    for origin in settings.MANIFEST_HTTP_ARTIFACTS:
        if problem := _origin_complaint(origin):
            yield "policy.E005", f"MANIFEST_HTTP_ARTIFACTS: {origin!r} {problem}."
    for words in field_complaints(settings.MANIFEST_ALLOWED_FIELDS):
        yield "policy.E003", f"MANIFEST_ALLOWED_FIELDS: {words}."
    for words in _path_complaints(settings.DATA_PARTNER_PATHS):
        yield "policy.E004", f"DATA_PARTNER_PATHS: {words}."


def _origin_complaint(origin: str) -> str:
    """Return what is wrong with an address in MANIFEST_HTTP_ARTIFACTS, or ''."""
    if origin_of(origin) != origin:
        return "must be an origin: http:// or https://, a host in lower case, a port, and nothing more"
    host = origin.partition("//")[2].partition(":")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    # Clouds serve a machine's credentials at link-local addresses.
    return "is link-local; manifests may not fetch anything there" if address.is_link_local else ""


def _path_complaints(table: Any) -> Iterator[str]:
    if not isinstance(table, Mapping):
        yield 'must be a JSON object, such as {"data-partner-1": ["/srv/data"]}'
        return
    for partner in table:
        if partner not in settings.VALID_DATA_PARTNERS:
            yield f"{partner} is not one of VALID_DATA_PARTNERS"
    yield from folder_complaints(table)


def _is_local(alias: str) -> bool:
    return str(settings.ENGINES.get(alias, {}).get("class", "")).startswith("engines.local.")


def _local_images(engines: list[str]) -> tuple[str, ...]:
    """Return the patterns of the images for which local engines have programs."""
    if not engines:
        return ()
    named = [f"*/{name}:*" for name in SHIPPED_IMAGES]
    plain = [pattern for name in PLAIN_IMAGES for pattern in (name, f"{name}:*", f"*/{name}:*")]
    own = [pattern for alias in engines for pattern in settings.ENGINES[alias]["options"].get("images") or ()]
    return (*own, *named, *plain)
