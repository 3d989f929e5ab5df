"""The checking process: the same answers as in this one, and an end for what would never end."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from policy.rules import Policy
from schemas.manifest import process
from schemas.manifest.checked import Answer, Question
from schemas.manifest.checking import check
from schemas.manifest.process import check_apart
from schemas.manifest.wire import answer_document, answer_from, question_document, question_from
from tests.schemas.samples import MANIFEST, provided
from web.errors import ServiceUnavailable

GOOD = Question(MANIFEST.encode(), provided(), Policy())
BAD = Question(b"kind: Workflow\nspec: {entrypoint: a, serviceAccountName: root}\n", provided(), Policy())
ROOT = Path(process.__file__).parents[2]


@pytest.fixture(autouse=True)
def no_answers_kept(monkeypatch):
    monkeypatch.setattr(process, "_answers", type(process._answers)())


def test_the_process_answers_as_the_function_does():
    assert check_apart([GOOD, BAD, GOOD]) == [check(GOOD), check(BAD), check(GOOD)]


def test_an_answer_is_kept(monkeypatch):
    first = check_apart([GOOD])
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    assert check_apart([GOOD]) == first


@pytest.mark.parametrize("question", [GOOD, BAD, Question(b"", None, Policy((), False))])
def test_questions_and_answers_survive_the_wire(question):
    assert question_from(question_document(question)) == question
    assert answer_from(answer_document(check(question))) == check(question)


def test_a_manifest_that_takes_too_much_is_refused(monkeypatch):
    def run(command, **options):
        raise subprocess.CalledProcessError(-signal.SIGXCPU, command)

    monkeypatch.setattr(process.subprocess, "run", run)

    (answer,) = check_apart([GOOD])

    assert isinstance(answer, Answer)
    assert [fault.detail for fault in answer.faults] == ["is too large or too complex to be checked"]


def test_a_machine_that_is_too_busy_blames_no_manifest(monkeypatch):
    monkeypatch.setattr(process, "TIMEOUT_SECONDS", 0.001)

    with pytest.raises(ServiceUnavailable):
        check_apart([GOOD, BAD])


def test_the_service_itself_loads_no_hera():
    code = "import sys, schemas.manifest.process, schemas.parameter_names; sys.exit('hera' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False).returncode == 0
