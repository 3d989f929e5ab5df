"""An engine for the service's containers that hands its Workflows to whoever runs them outside: here, the suite.

Mounted into the containers beside the settings that name it (`settings_of_the_suite.py`).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from engines.base import Submission, WorkflowStatus
from engines.recording import RecordingEngine

HANDED = "handed"


class OutsideEngine(RecordingEngine):
    """Leaves each Workflow in a file below option `dir`, where its end is told by `finish` of another instance."""

    def submit(self, submission: Submission) -> WorkflowStatus:
        status = super().submit(submission)
        folder = Path(self.options["dir"], HANDED)
        folder.mkdir(mode=0o755, exist_ok=True)
        unfinished = folder / f".{submission.name}"
        unfinished.write_text(json.dumps(asdict(submission) | {"of_installation": sorted(submission.of_installation)}))
        unfinished.rename(folder / f"{submission.name}.json")
        return status
