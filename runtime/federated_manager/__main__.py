"""`python -m runtime.federated_manager server|client …`."""

import sys

from runtime.federated_manager.runner import main

sys.exit(main(sys.argv[1:]))
