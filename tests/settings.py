"""Settings of the test run: a database and files of its own, everything else as in production."""

import atexit
import os
import shutil
import tempfile

_data = tempfile.mkdtemp(prefix="orchestrator-tests-")
atexit.register(shutil.rmtree, _data, ignore_errors=True)
os.environ.setdefault("SECRET_KEY", "a secret of the tests, long enough to be taken for one in production")
os.environ.setdefault("ALLOWED_HOSTS", "testserver,127.0.0.1,localhost")
os.environ["DATA_DIR"] = _data

from orchestrator_api.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if DATABASES["default"]["ENGINE"] == "orchestrator_api.sqlite":  # noqa: F405
    # Threads and other processes take part in some tests, so the database cannot live in one process's memory.
    DATABASES["default"]["TEST"] = {"NAME": f"{_data}/test.sqlite3"}  # noqa: F405

DATABASES["default"]["CONN_MAX_AGE"] = 0  # noqa: F405 - threads of a test leave no connection behind
# Every test client would look at each package's static files anew.
WHITENOISE_USE_FINDERS = False
SECURE_SSL_REDIRECT = False
LOGGING["root"]["level"] = "WARNING"  # noqa: F405

# What an operator has said whose Schemas the tests hold.
ALLOWED_IMAGE_REGISTRIES = ["localhost:5000", "registry.example:5000", "registry.example"]
ALLOWED_IMAGES = ["processor-resource-manager", "other/processor-resource-manager-like:*", "busybox", "busybox:*"]
