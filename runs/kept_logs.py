"""Stored logs: copied when a Workflow has ended at an engine that deletes its logs."""

from __future__ import annotations

import gzip
import json
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import IO

from django.conf import settings
from django.core.files.base import File
from django.db import IntegrityError, transaction

from engines.base import Engine, LogLine, WorkflowNotFound
from runs.models import RunLog, WorkflowRun
from web.errors import NotFound
from web.storage import delete_after_commit, save, stored_files

logger = logging.getLogger(__name__)

# In bytes of the stored JSON lines before compression. One step with much output must not crowd out the others.
MAX_CONTAINER_BYTES = 16 * 1024**2
MAX_BYTES = 128 * 1024**2


def log_kept(run: WorkflowRun, engine: Engine, now: datetime) -> None:
    """Copy the log of a run into storage, unless it is stored already or the engine keeps it.

    The copy is one file of JSON lines, compressed by gzip (RFC 1952). Raises EngineUnavailable, OSError and
    StorageFull; nothing is left behind then, and the copy may be tried again.
    """
    if engine.keeps_logs or RunLog.objects.filter(run_id=run.pk).exists():
        return
    with tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as copy:
        kept = RunLog(run_id=run.pk, kept_at=now)
        try:
            _copy(engine.logs(run.name), copy, kept)
        except WorkflowNotFound:
            kept.note = "The Workflow was gone before its log could be copied."
        _store(kept, File(copy, f"{run.name}.jsonl.gz"))


def log_given_up(run: WorkflowRun, engine: Engine, why: str, now: datetime) -> None:
    """Record that a run's log was not copied, and why."""
    if not engine.keeps_logs and not RunLog.objects.filter(run_id=run.pk).exists():
        _store(RunLog(run_id=run.pk, kept_at=now, note=f"The log could not be copied: {why}"), None)


def log_forgotten(run_id: int) -> None:
    """Delete the stored log of a run that is being deleted, in its transaction."""
    for kept in RunLog.objects.filter(run_id=run_id):
        delete_after_commit(kept.file)


def _copy(lines: Iterator[LogLine], copy: IO[bytes], kept: RunLog) -> None:
    sizes: dict[tuple[str, str], int] = {}
    with gzip.GzipFile(fileobj=copy, mode="wb", mtime=0) as packed:
        for line in lines:
            size = sizes.setdefault((line.node, line.container), 0)
            if size > MAX_CONTAINER_BYTES:
                continue
            encoded = _encoded(line)
            sizes[line.node, line.container] = size + len(encoded)
            if size + len(encoded) > MAX_CONTAINER_BYTES:
                encoded = _encoded(_cut(line.node, line.container, MAX_CONTAINER_BYTES))
                kept.note = "The log is incomplete: some containers wrote more than is stored."
            if kept.size_bytes + len(encoded) > MAX_BYTES:
                packed.write(_encoded(_cut("", "", MAX_BYTES)))
                kept.note = f"The log is incomplete: only its first {MAX_BYTES // 1024**2} MiB are stored."
                return
            packed.write(encoded)
            kept.lines += 1
            kept.size_bytes += len(encoded)


def _encoded(line: LogLine) -> bytes:
    return json.dumps(asdict(line)).encode() + b"\n"


def _cut(node: str, container: str, limit: int) -> LogLine:
    return LogLine(node, container, "stderr", f"[The log was cut here: {limit // 1024**2} MiB are stored.]")


def _store(kept: RunLog, copy: File[bytes] | None) -> None:
    try:
        with stored_files():
            if copy is not None and kept.lines:
                save(kept.file, copy.name or "", copy)
            with transaction.atomic():
                kept.save(force_insert=True)
    except IntegrityError:
        # An earlier holder of the claim was slow, not dead; or the run has been deleted in the meantime.
        logger.info("The log of run %s is stored already, or the run is gone.", kept.run_id)


def is_kept(run: WorkflowRun) -> bool:
    """Return whether a run's log, or the reason why there is none, is stored."""
    return RunLog.objects.filter(run_id=run.pk).exists()


def kept_lines(run: WorkflowRun, node_id: str) -> Iterator[LogLine] | None:
    """Return a run's stored log (of one node, or all), or None if none was stored. Raises NotFound."""
    kept = RunLog.objects.filter(run_id=run.pk).first()
    if kept is None:
        return None
    if not kept.file:
        if kept.note:
            raise NotFound(kept.note)
        return iter(())
    try:
        return _read(kept.file.open("rb"), node_id)
    except FileNotFoundError as error:
        raise NotFound("The log is no longer stored.") from error


def _read(file: IO[bytes], node_id: str) -> Iterator[LogLine]:
    with file, gzip.GzipFile(fileobj=file) as packed:
        for encoded in packed:
            line = LogLine(**json.loads(encoded))
            if not node_id or line.node in ("", node_id):
                yield line
