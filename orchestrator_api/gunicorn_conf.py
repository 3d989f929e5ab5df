"""How gunicorn serves the API: one process, whose event loop holds the clients and whose threads do the work.

Many threads (WEB_THREADS) fit these requests: they wait for the database, the registry or a disk. The registry may be
this same service, so there are more threads than five times REGISTRY_CLIENT_CONCURRENCY, which calls to it may hold.
"""

import os
from pathlib import Path
from typing import Any

from orchestrator_api.environment.choices import DEFAULT_DATA_DIR
from orchestrator_api.environment.ports import complaint_of
from orchestrator_api.environment.reading import WrongSettings, own_folder
from orchestrator_api.environment.telling import checked_environment, end_with

# Checked in the first process, since gunicorn only restarts a worker that ends.
_env = checked_environment(serves=True)
try:
    own_folder("DATA_DIR", Path(_env.str("DATA_DIR", default=str(DEFAULT_DATA_DIR))))
except WrongSettings as error:
    end_with(error.faults)

bind = _env.str("BIND", default="0.0.0.0:8900")
wsgi_app = "orchestrator_api.asgi"
worker_class = "orchestrator_api.server.worker.Worker"
workers = _env.int("WEB_WORKERS", default=1)
timeout = 120
graceful_timeout = 10
keepalive = 30
control_socket_disable = True
if Path("/dev/shm").is_dir():  # noqa: S108 - a heartbeat file that must not wait for a disk
    worker_tmp_dir = "/dev/shm"  # noqa: S108

# The project logs requests itself, with their ids.
accesslog = None
_level = _env.str("LOG_LEVEL", default="INFO")
_format = _env.str("LOG_FORMAT", default="json")
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "orchestrator_api.logs.JsonFormatter"},
        "text": {"()": "orchestrator_api.logs.TextFormatter"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": _format}},
    "root": {"level": _level, "handlers": ["stderr"]},
    "loggers": {"gunicorn.error": {"level": _level, "handlers": ["stderr"], "propagate": False}},
}


def on_starting(server: Any) -> None:
    """End where another program has the address; gunicorn itself would retry for a while and report less."""
    if "GUNICORN_FD" in os.environ or "LISTEN_FDS" in os.environ:
        return  # the sockets are already open
    complaints = [complaint_of(address) for address in server.cfg.address if isinstance(address, tuple)]
    if any(complaints):
        end_with([f"BIND={complaint}" for complaint in complaints if complaint])
