"""`python -m runtime.step_runner '<JSON>' [--failure-endpoint URL] [--failure-actions '<JSON>']`."""

import sys

from runtime.step_runner.runner import main

sys.exit(main(sys.argv[1:]))
