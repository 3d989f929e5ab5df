"""The checking process: questions as JSON on stdin, answers as JSON on stdout; see `process`."""

from __future__ import annotations

import json
import resource
import sys

from schemas.manifest.checking import check
from schemas.manifest.wire import answer_document, question_from

# A text that needs more than this is an attack or a mistake; it ends this process and not the service.
MAX_CPU_SECONDS = 20
MAX_MEMORY_BYTES = 1024**3
TOO_MUCH = 3


def main() -> None:
    """Answer every question on stdin."""
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    questions = json.load(sys.stdin)
    try:
        answers = [answer_document(check(question_from(document))) for document in questions]
    except (MemoryError, RecursionError):
        sys.exit(TOO_MUCH)
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
