"""Settings of the test run: a database and files of its own, everything else as in production."""

import os
import tempfile

_data = tempfile.mkdtemp(prefix="orchestrator-tests-")
os.environ.setdefault("SECRET_KEY", "a secret of the tests, long enough to be taken for one in production")
os.environ.setdefault("ALLOWED_HOSTS", "testserver,127.0.0.1,localhost")
os.environ["DATA_DIR"] = _data

from orchestrator_api.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
