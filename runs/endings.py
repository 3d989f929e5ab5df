"""What is done after a Workflow has ended, before its owner releases what the Workflow needed."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from engines.base import Engine, EngineError
from runs.explanations import explain_end
from runs.kept_logs import log_given_up, log_kept
from runs.models import WorkflowRun
from runs.services import run_images_noted
from web.errors import StorageFull

logger = logging.getLogger(__name__)

# For this long an engine or storage that fails is asked again; after it the log is given up.
PATIENCE = timedelta(hours=1)


def run_wound_up(run: WorkflowRun, engine: Engine, now: datetime) -> None:
    """Find out why a run failed and which images it ran, and keep its log; doing it twice changes nothing.

    Raises the error of the engine or the storage while it may still be tried again.
    """
    if run.handed_over_at is None:
        return
    try:
        explain_end(run, engine, now)
        _note_images(run, engine, now)
        log_kept(run, engine, now)
    except (EngineError, StorageFull, OSError) as error:
        if now - (run.workflow_ended_at or now) < PATIENCE:
            raise
        logger.error("Run %s: its log could not be copied and is given up: %s", run.name, error)
        log_given_up(run, engine, str(error) or type(error).__name__, now)


def _note_images(run: WorkflowRun, engine: Engine, now: datetime) -> None:
    """Record digests that were not known before the images were pulled; the pods that know them may be gone."""
    open_ones = [image for image, digest in run.images.items() if not digest]
    found = engine.image_digests(run.name, open_ones) if open_ones else {}
    if found:
        run_images_noted(run_id=run.pk, images=found, now=now)
