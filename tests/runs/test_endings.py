"""What is found out once a Workflow has ended."""

from __future__ import annotations

import pytest

from engines.base import WorkflowPhase
from runs.endings import run_wound_up
from runs.services import run_images_noted, run_observe
from tests.runs.test_outbox import START, now_of

pytestmark = pytest.mark.django_db


def test_digests_that_only_the_pods_knew_are_written_down(make_run, engine, status_of, monkeypatch):
    run = make_run(now=START)
    run_images_noted(run_id=run.pk, images={"a:1": "sha256:1", "b:1": "", "c:1": ""})
    run_observe(run_id=run.pk, status=status_of(run, WorkflowPhase.SUCCEEDED))
    monkeypatch.setattr(engine, "image_digests", lambda name, images: {"b:1": "sha256:2"} if "b:1" in images else {})

    run_wound_up(now_of(run), engine, START)

    assert now_of(run).images == {"a:1": "sha256:1", "b:1": "sha256:2", "c:1": ""}


def test_a_known_digest_is_not_forgotten(make_run):
    run = make_run(now=START)
    run_images_noted(run_id=run.pk, images={"a:1": "sha256:1"})
    run_images_noted(run_id=run.pk, images={"a:1": ""})

    assert now_of(run).images == {"a:1": "sha256:1"}
