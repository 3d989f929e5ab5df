"""The gate that every Workflow passes, whoever submits it: held to the installation's policy as it was rendered."""

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
    """The policy does not let a Workflow run; says every field that it refuses."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__("; ".join(f"{fault.pointer or '/'}: {fault.detail}" for fault in verdict.faults))


def verdict_of(manifest: Manifest, engine: str, grant: Grant) -> Verdict:
    """Return what the policy says of a Workflow that an engine, by its alias, is to run."""
    return judge(manifest, installed_policy(engine), grant)


def refused_by_engine(manifest: Manifest, engine: str) -> list[ManifestFault]:
    """Return what an engine, by its alias, says at once that it would not run of a rendered Workflow."""
    named = settings.ENGINES.get(engine, {}).get("refusals")
    return [ManifestFault(pointer, detail) for pointer, detail in import_string(named)(manifest)] if named else []


def admitted(submission: Submission, engine: Engine, grant: Grant) -> Mapping[str, str]:
    """Return the images that a submission will run, with their digests as far as they are known.

    What travels with it is its own, beside what its owner grants. Raises ManifestRefused.
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
