"""The check that every rendered Workflow passes before it is submitted: the installation's policy for manifests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from django.conf import settings
from django.utils.module_loading import import_string

from engines.base import Engine, Manifest, Submission
from policy.check import Verdict, judge
from policy.conf import installed_policy
from policy.faults import ManifestFault
from policy.images import digest_of
from policy.rules import Grant


class ManifestRefused(Exception):
    """The policy does not let a Workflow run; the message names every field that it refuses."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__("; ".join(f"{fault.pointer or '/'}: {fault.detail}" for fault in verdict.faults))


def verdict_of(manifest: Manifest, engine: str, grant: Grant) -> Verdict:
    """Return the policy's verdict on a Workflow for an engine, given by its alias."""
    return judge(manifest, installed_policy(engine), grant)


def refused_by_engine(manifest: Manifest, engine: str) -> list[ManifestFault]:
    """Return the parts of a rendered Workflow that an engine, given by its alias, does not run."""
    named = settings.ENGINES.get(engine, {}).get("refusals")
    return [ManifestFault(pointer, detail) for pointer, detail in import_string(named)(manifest)] if named else []


def admitted(submission: Submission, engine: Engine, grant: Grant) -> Mapping[str, str]:
    """Return the images of a submission with their digests, as far as they are known.

    The Workflow may use its attachments and what its owner grants. Raises ManifestRefused.
    """
    own = replace(
        grant,
        secrets=grant.secrets.union(submission.secrets),
        config_maps=grant.config_maps.union(submission.config_maps),
    )
    verdict = verdict_of(submission.manifest, engine.alias, own)
    if verdict.faults:
        raise ManifestRefused(verdict)
    known = engine.image_digests(submission.name, verdict.images)
    return {image: digest_of(image) or known.get(image, "") for image in verdict.images}
