"""How gunicorn serves the API: one process, whose event loop holds the clients and whose threads do the work.

Threads (WEB_THREADS) fit what a request does here: it waits for the database, the registry or a disk. The registry may
be this very service, so there are more threads than the five times REGISTRY_CLIENT_CONCURRENCY that calls to it hold.
"""

import os
from pathlib import Path

bind = os.environ.get("BIND", "0.0.0.0:8900")
wsgi_app = "orchestrator_api.asgi"
worker_class = "orchestrator_api.server.worker.Worker"
workers = int(os.environ.get("WEB_WORKERS", "1"))
timeout = 120
graceful_timeout = 10
keepalive = 30
control_socket_disable = True
if Path("/dev/shm").is_dir():  # noqa: S108 - a heartbeat file that must not wait for a disk
    worker_tmp_dir = "/dev/shm"  # noqa: S108

# Requests are logged by the project itself, with what belongs to them.
accesslog = None
_format = os.environ.get("LOG_FORMAT", "json")
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "orchestrator_api.logs.JsonFormatter"},
        "text": {"()": "orchestrator_api.logs.TextFormatter"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": _format}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    "loggers": {"gunicorn.error": {"level": "INFO", "handlers": ["stderr"], "propagate": False}},
}
