"""Checks manifests in a separate process.

There are two reasons, both measured: Hera's models take about 40 MB and a second to import, in every worker of the
service; and a malicious text can only end that process. An answer depends only on its question, so the latest answers
are kept.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from policy.faults import ManifestFault
from schemas.manifest.checked import Answer, Question
from schemas.manifest.wire import answer_from, question_document
from web.errors import ServiceUnavailable

# Only a machine that is very busy takes so long: the process ends itself after some seconds of processor time.
TIMEOUT_SECONDS = 120
_ROOT = Path(__file__).resolve().parent.parent.parent
_KEPT = 32

_answers: OrderedDict[Question, Answer] = OrderedDict()
_lock = Lock()


def check_apart(questions: Sequence[Question]) -> list[Answer]:
    """Return the answer to each question; one process answers all new questions.

    A manifest that makes the process end has a fault. Raises ServiceUnavailable if the process gets no processor time.
    """
    with _lock:
        known = {question: _answers[question] for question in questions if question in _answers}
    new = [question for question in dict.fromkeys(questions) if question not in known]
    if new:
        known |= dict(zip(new, _ask(new), strict=True))
    with _lock:
        for question in questions:
            _answers[question] = known[question]
            _answers.move_to_end(question)
        while len(_answers) > _KEPT:
            _answers.popitem(last=False)
    return [known[question] for question in questions]


def _ask(questions: Sequence[Question]) -> list[Answer]:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "schemas.manifest"],
            input=json.dumps([question_document(question) for question in questions]).encode(),
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            cwd=_ROOT,
            # The process gets none of our settings.
            env={"PATH": os.defpath, "PYTHONUTF8": "1"},
            check=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        if len(questions) > 1:  # Asking one by one finds the manifest that ended the process.
            return [answer for question in questions for answer in _ask([question])]
        if isinstance(error, subprocess.CalledProcessError) and error.returncode == 1:
            # An exception, not a limit: a fault in our code, for the log and not for the caller.
            raise RuntimeError(f"the manifest check failed: {error.stderr[-2000:].decode(errors='replace')}") from error
        if isinstance(error, subprocess.TimeoutExpired):
            raise ServiceUnavailable("The manifest could not be checked in time: this machine is too busy.") from error
        return [Answer(None, (ManifestFault("", "is too large or too complex to be checked"),))]
    return [answer_from(document) for document in json.loads(done.stdout)]
