"""`python -m runtime.sample_ai_engine`: serve until asked to end."""

import sys

from runtime.sample_ai_engine.server import main

sys.exit(main())
