"""The policy that manifests are held to, by settings."""

from __future__ import annotations

from django.conf import settings

from schemas.manifest.policy import Policy


def current_policy() -> Policy:
    """Return the policy of this installation.

    The host's network is allowed unless a setting says otherwise: manifests in the field ask for it, and neither the
    ports nor the address of a pod give more than the callbacks' tokens protect.
    """
    return Policy(
        service_accounts=tuple(settings.MANIFEST_SERVICE_ACCOUNTS),
        allow_host_network=settings.MANIFEST_ALLOW_HOST_NETWORK,
    )
