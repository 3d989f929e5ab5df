"""The policy that manifests are held to, by settings."""

from __future__ import annotations

from django.conf import settings

from schemas.manifest.policy import Policy


def current_policy() -> Policy:
    """Return the policy of this installation.

    Manifests in the field ask for the host's network, so whether they get it is the installation's to say.
    """
    return Policy(
        service_accounts=tuple(settings.MANIFEST_SERVICE_ACCOUNTS),
        allow_host_network=settings.MANIFEST_ALLOW_HOST_NETWORK,
    )
