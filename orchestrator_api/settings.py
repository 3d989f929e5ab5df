"""Settings, all from environment variables; orchestrator_api/environment/table.py has every variable and its check.

Production is the default: without DEBUG there is no default secret and no default host, and cookies need HTTPS.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import django_stubs_ext

from orchestrator_api.environment.choices import DEFAULT_DATA_DIR, adapter_of, engine_of
from orchestrator_api.environment.reading import Environment, own_folder
from orchestrator_api.networks import LOOPBACK
from orchestrator_api.privacy import start_private
from orchestrator_api.storages import storages_from_url
from policy.places import folders_of

# Django's classes take type arguments at run time as they do for the type checker.
django_stubs_ext.monkeypatch()


env = Environment(os.environ)
BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.str("DATA_DIR", default=str(DEFAULT_DATA_DIR))).absolute()
# Tokens, secrets and patients' data: every process of the service hides them from other users, however it is started.
start_private()
own_folder("DATA_DIR", DATA_DIR)

# Hosts, HTTPS and trust

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="") or ("insecure-debug-key" if DEBUG else "")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["*"] if DEBUG else [])
CSRF_FAILURE_VIEW = "orchestrator_api.problems.csrf_failure"
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

HTTPS_ONLY = env.bool("HTTPS_ONLY", default=not DEBUG)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS_ONLY
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=3600 if HTTPS_ONLY else 0)
# API calls by plain HTTP are refused, not redirected (orchestrator_api.callers); probes may use either.
SECURE_REDIRECT_EXEMPT = [r"^api/", r"^health/"]
PLAIN_HTTP_FROM = env.networks("PLAIN_HTTP_FROM", default=LOOPBACK)
# Proxies whose headers give the caller's address and scheme; they must drop the caller's own.
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES", default=LOOPBACK if env.bool("BEHIND_PROXY", default=False) else ())
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
# A session ends after these hours, and with the browser. Logins that failed are counted (orchestrator_api.logins).
SESSION_COOKIE_AGE = env.int("SESSION_HOURS", default=8) * 3600
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
LOGIN_FAILURES_PER_ACCOUNT = env.int("LOGIN_FAILURES_PER_ACCOUNT", default=10)
LOGIN_FAILURES_PER_ADDRESS = env.int("LOGIN_FAILURES_PER_ADDRESS", default=20)
LOGIN_FAILURES_WINDOW_SECONDS = env.int("LOGIN_FAILURES_WINDOW_SECONDS", default=900)
# The admin, the API's documentation and their files; off where only Workflows call.
ADMIN_ENABLED = env.bool("ADMIN_ENABLED", default=True)
# This service cannot promise HTTPS for other subdomains.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

# Django's parts

INSTALLED_APPS = [
    # Before the admin, whose base page it replaces.
    "orchestrator_api",
    "orchestrator_api.operators_app.OperatorsAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "runs",
    "registry",
    "schemas",
    "federated",
    "executions",
]
MIDDLEWARE = [
    "orchestrator_api.callers.CallerMiddleware",
    "orchestrator_api.middleware.RequestLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "orchestrator_api.answers.AnswerMiddleware",
    "orchestrator_api.callers.PlainHttpMiddleware",
    "orchestrator_api.middleware.CleanAddressMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "orchestrator_api.middleware.SlashMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "orchestrator_api.idempotency.IdempotencyMiddleware",
]
if not ADMIN_ENABLED:
    MIDDLEWARE.remove("whitenoise.middleware.WhiteNoiseMiddleware")
ROOT_URLCONF = "orchestrator_api.urls"
WSGI_APPLICATION = "orchestrator_api.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = ["orchestrator_api.formats"]

# Storage

DATABASES: dict[str, Any] = {
    "default": env.database or {"ENGINE": "django.db.backends.sqlite3", "NAME": str(DATA_DIR / "orchestrator.sqlite3")}
}
DATABASES["default"]["CONN_MAX_AGE"] = env.int("DATABASE_CONNECTION_MAX_AGE_SECONDS", default=600)
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["ENGINE"] = "orchestrator_api.sqlite"
    # WAL lets readers go on while one process writes; IMMEDIATE takes the write lock at BEGIN, so that a transaction
    # waits for its turn instead of failing at its first write. The controller copies the log into the database
    # (runs.outbox.checkpoint), so that no request waits for the disk; other processes do so when the log is eight times
    # as long as SQLite's default allows.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; "
        "PRAGMA wal_autocheckpoint=8000;",
    }
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 10)

MEDIA_ROOT = Path(env.str("MEDIA_ROOT", default="") or DATA_DIR / "media")
MEDIA_URL = env.str("MEDIA_URL", default="")
if MEDIA_URL and not MEDIA_URL.endswith("/"):
    MEDIA_URL += "/"
STORAGE_URL = env.str("STORAGE_URL", default="")
STORAGES = storages_from_url(STORAGE_URL)
# Patients' data: other users of the machine must not read it.
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700
if not STORAGE_URL:
    # An upload on the storage's own disk is moved, not copied.
    FILE_UPLOAD_TEMP_DIR = DATA_DIR / "uploads"
    own_folder("DATA_DIR", FILE_UPLOAD_TEMP_DIR)

# Static files are served from the packages themselves: collectstatic is optional.
STATIC_URL = "static/"
STATIC_ROOT = env.str("STATIC_ROOT", default="") or None
WHITENOISE_USE_FINDERS = True

FILE_UPLOAD_HANDLERS = [
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "orchestrator_api.uploads.TidyUploadHandler",
]

# The largest request of all, and of its JSON document.
MAX_REQUEST_BYTES = env.int("MAX_REQUEST_BYTES", default=20 * 1024**3)
DATA_UPLOAD_MAX_MEMORY_SIZE = env.int("MAX_DATA_BYTES", default=32 * 1024**2)
MAX_DATA_VALUES = env.int("MAX_DATA_VALUES", default=2_000_000)

# Limits of connections and of their times (orchestrator_api.server)

WEB_THREADS = env.int("WEB_THREADS", default=64)
MAX_CONNECTIONS = env.int("MAX_CONNECTIONS", default=8192)
MAX_CONNECTIONS_PER_ADDRESS = env.int("MAX_CONNECTIONS_PER_ADDRESS", default=4096)
# How long a request's head may take.
CLIENT_HEAD_SECONDS = env.float("CLIENT_HEAD_SECONDS", default=10.0)
# How long a body may pause, and its least average rate after that time.
CLIENT_BODY_SECONDS = env.float("CLIENT_BODY_SECONDS", default=20.0)
CLIENT_BODY_BYTES_PER_SECOND = env.int("CLIENT_BODY_BYTES_PER_SECOND", default=1000)
# How long a client may read nothing of an answer.
CLIENT_READ_SECONDS = env.float("CLIENT_READ_SECONDS", default=30.0)
# JSON documents of more than a megabyte are handled one after another when they are larger together.
DOCUMENTS_AT_ONCE_BYTES = env.int("DOCUMENTS_AT_ONCE_BYTES", default=DATA_UPLOAD_MAX_MEMORY_SIZE)
# How many readers may follow logs in one process, and how many of them where the engine needs a thread for each.
LOG_FOLLOWERS = env.int("LOG_FOLLOWERS", default=2000)
LOG_FOLLOWERS_BY_THREAD = env.int("LOG_FOLLOWERS_BY_THREAD", default=64)

# The HTTP API

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "orchestrator_api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["web.permissions.IsPerson"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser", "rest_framework.parsers.MultiPartParser"],
    "DEFAULT_RENDERER_CLASSES": ["orchestrator_api.rendering.FastJSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "orchestrator_api.negotiation.AnswerAsIs",
    "DEFAULT_PAGINATION_CLASS": "web.lists.StandardPagination",
    "DEFAULT_SCHEMA_CLASS": "orchestrator_api.openapi.ProblemAwareSchema",
    "EXCEPTION_HANDLER": "orchestrator_api.problems.exception_handler",
    "VIEW_DESCRIPTION_FUNCTION": "orchestrator_api.openapi.view_description",
    "UNICODE_JSON": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Orchestrator",
    "DESCRIPTION": "AI services, their executions and the model registry. Times are in "
    "UTC. Errors are problem documents (RFC 9457).",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "RunReasonEnum": "runs.models.RunReason.choices",
        "FailureReasonEnum": "executions.models.FailureReason.choices",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "orchestrator_api.openapi.add_problem_component",
    ],
}
API_TOKEN_LIFETIME_DAYS = env.int("API_TOKEN_LIFETIME_DAYS", default=90)
IDEMPOTENCY_KEY_LIFETIME_SECONDS = env.int("IDEMPOTENCY_KEY_LIFETIME_SECONDS", default=24 * 3600)
# How long a request may be under way before its key is thought to belong to a process that died.
IDEMPOTENCY_LEASE_SECONDS = env.int("IDEMPOTENCY_LEASE_SECONDS", default=120)

# Logging

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "orchestrator_api.logs.JsonFormatter"},
        "text": {"()": "orchestrator_api.logs.TextFormatter"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": env.str("LOG_FORMAT", default="json"),
        }
    },
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        # The project's own line for each request has the same, with the request's id.
        "django.server": {"handlers": [], "propagate": False},
        "django.request": {"level": "ERROR"},
        "django.security": {"level": "ERROR"},
        # It logs every connection, and errors that are already logged.
        "kafka": {"level": "CRITICAL"},
    },
}

# The addresses (host:port) of the orchestrator and the model registry for Workflows.

ORCHESTRATOR_API_HOSTNAME = env.str("ORCHESTRATOR_API_HOSTNAME", default="127.0.0.1:8900")
MAAS_API_HOSTNAME = env.str("MAAS_API_HOSTNAME", default=ORCHESTRATOR_API_HOSTNAME)
# The address on which this service listens, if the local engine's Workflows use another one that never changes.
LISTEN_ADDRESS = env.str("LISTEN_ADDRESS", default="")
# The address of the registry.
MAAS_API_ADDRESS = (MAAS_API_HOSTNAME == ORCHESTRATOR_API_HOSTNAME and LISTEN_ADDRESS) or MAAS_API_HOSTNAME
MAAS_API_TOKEN = env.str("MAAS_API_TOKEN", default="")
# The schemes of the two, for this service and for Workflows, and further trusted certificates.
ORCHESTRATOR_API_SCHEME = env.str("ORCHESTRATOR_API_SCHEME", default="http")
MAAS_API_SCHEME = env.str(
    "MAAS_API_SCHEME", default=ORCHESTRATOR_API_SCHEME if MAAS_API_HOSTNAME == ORCHESTRATOR_API_HOSTNAME else "http"
)
# The text of the file.
API_CA = env.str("API_CA_FILE", default="")
# Workflows that get plain HTTP as their scheme may use it.
PLAIN_HTTP_FOR_WORKFLOWS = env.bool(
    "PLAIN_HTTP_FOR_WORKFLOWS", default="http" in (ORCHESTRATOR_API_SCHEME, MAAS_API_SCHEME)
)
VALIDATE_WITH_MAAS = env.bool("VALIDATE_WITH_MAAS", default=True)
# The registry may be this very service: its own calls must leave threads to answer them.
REGISTRY_CLIENT_CONCURRENCY = env.int("REGISTRY_CLIENT_CONCURRENCY", default=8)

# Data partners and the labels of cluster nodes

VALID_DATA_PARTNERS = env.list("VALID_DATA_PARTNERS", default=["data-partner-1", "data-partner-2", "data-partner-3"])
VALID_AI_ENGINE_FUNCTIONALITIES = env.list(
    "VALID_AI_ENGINE_FUNCTIONALITIES",
    default=[
        "training_from_scratch",
        "training_from_pretrained_model",
        "evaluating_from_pretrained_model",
        "merging_models",
        "inferencing_from_pretrained_model",
    ],
)
# The role types and data types of AI engines that the model registry accepts; empty accepts any.
VALID_AI_ENGINE_ROLE_TYPES = env.list("VALID_AI_ENGINE_ROLE_TYPES", default=[])
VALID_AI_ENGINE_DATA_TYPES = env.list("VALID_AI_ENGINE_DATA_TYPES", default=[])
CENTRAL_NODE_LABEL_KEY = env.str("CENTRAL_NODE_LABEL_KEY", default="nodeType")
CENTRAL_NODE_LABEL_VALUE = env.str("CENTRAL_NODE_LABEL_VALUE", default="central")

LOCAL_ENGINE_HOST_PATHS = env.list("LOCAL_ENGINE_HOST_PATHS", default=[])
# Partner → the folders of its nodes below which its `system_path` may lie, as JSON.
DATA_PARTNER_PATHS = env.json(
    "DATA_PARTNER_PATHS",
    default=dict.fromkeys(VALID_DATA_PARTNERS, LOCAL_ENGINE_HOST_PATHS) if LOCAL_ENGINE_HOST_PATHS else {},
)
# Data partners' folders as PersistentVolumeClaims, for an engine on a cluster: {partner: {system_path: claim}}.
DATA_PARTNER_CLAIMS = env.json("DATA_PARTNER_CLAIMS", default={})

# Values that every Workflow gets (contracts/workflow-parameters.md)

IMAGE_REGISTRY = env.str("IMAGE_REGISTRY", default="localhost:5000")
PROCESSOR_RESOURCE_MANAGER_VERSION = env.str("PROCESSOR_RESOURCE_MANAGER_VERSION", default="2.0.0")
PROCESSOR_RESOURCE_MANAGER_CALLBACK_URL = env.str("PROCESSOR_RESOURCE_MANAGER_CALLBACK_URL", default="/api/callback")
PROCESSOR_RESOURCE_MANAGER_API_HOST = env.str("PROCESSOR_RESOURCE_MANAGER_API_HOST", default="127.0.0.1:8000")
FEDERATED_LEARNING_MANAGER_VERSION = env.str("FEDERATED_LEARNING_MANAGER_VERSION", default="2.0.0")
AI_ENGINE_API_HOST = env.str("AI_ENGINE_API_HOST", default="127.0.0.1:8001")
AI_ENGINE_API_URLS = {
    "api_ping_url": env.str("AI_ENGINE_API_PING_URL", default="/api/ping"),
    "api_run_url": env.str("AI_ENGINE_API_RUN_URL", default="/api/run"),
    "api_end_url": env.str("AI_ENGINE_API_END_URL", default="/api/end"),
}
# Each by AI_ENGINE_<NAME>, e.g. AI_ENGINE_INPUT_MODEL, or AI_ENGINE_PLATFORM_VARS_<NAME>.
AI_ENGINE_PATHS = {
    name: env.str(f"AI_ENGINE_{name.upper()}", default=default)
    for name, default in {
        "input_elements": "/tmp/input_elements/",
        "input_data_training_tabular": "/tmp/input_elements/platform_data/",
        "input_data_training_imagery": "/tmp/input_elements/platform_data/",
        "input_data_evaluation_tabular": "/tmp/input_elements/platform_data/",
        "input_data_evaluation_imagery": "/tmp/input_elements/platform_data/",
        "input_data_inference": "/tmp/input_elements/external_data/",
        "input_data_inference_report_metadata": "/tmp/input_elements/external_data/report_metadata.json",
        "input_ai_elements": "/tmp/ai_elements/",
        "input_user_vars": "/tmp/ai_elements/ai_engine_version_user_vars.json",
        "input_model": "/tmp/ai_elements/ai_model/",
        "input_models": "/tmp/ai_elements/ai_models/",
        "output_elements": "/tmp/output_elements/",
        "output_model": "/tmp/output_elements/ai_model/",
        "output_evaluation_metrics": "/tmp/output_elements/evaluation_metrics.json",
        "output_inference_results": "/tmp/output_elements/generic_file/",
    }.items()
}
# Empty: each Workflow's own, `<workflow name>-platform-vars`.
AI_ENGINE_CONFIG_MAP_NAME = env.str("AI_ENGINE_CONFIG_MAP_NAME", default="")

EXECUTION_DEADLINE_SECONDS = env.int("EXECUTION_DEADLINE_SECONDS", default=7 * 24 * 3600)
EXECUTION_PENDING_DEADLINE_SECONDS = env.int("EXECUTION_PENDING_DEADLINE_SECONDS", default=3600)
EXECUTION_END_GRACE_SECONDS = env.int("EXECUTION_END_GRACE_SECONDS", default=120)

# What Workflows may do

WORKFLOW_CALLBACKS_OPEN = env.bool("WORKFLOW_CALLBACKS_OPEN", default=False)
CALLBACK_TOKEN_IMAGES = env.list(
    "CALLBACK_TOKEN_IMAGES", default=["processor-resource-manager", "federated-learning-manager"]
)
MANIFEST_SERVICE_ACCOUNTS = env.list("MANIFEST_SERVICE_ACCOUNTS", default=["argo-workflow"])
MANIFEST_ALLOW_HOST_NETWORK = env.bool("MANIFEST_ALLOW_HOST_NETWORK", default=False)
# Exact names, beside those that the service makes for a Workflow. Installations make these two for federated managers.
MANIFEST_CONFIG_MAPS = env.list(
    "MANIFEST_CONFIG_MAPS", default=["federated-learning-manager-client", "federated-learning-manager-server"]
)
MANIFEST_SECRETS = env.list("MANIFEST_SECRETS", default=[])
MANIFEST_VOLUME_CLAIMS = env.list("MANIFEST_VOLUME_CLAIMS", default=[])
MANIFEST_ARTIFACT_ENDPOINTS = env.list("MANIFEST_ARTIFACT_ENDPOINTS", default=[])
# Such as https://data.example.org
MANIFEST_HTTP_ARTIFACTS = env.list("MANIFEST_HTTP_ARTIFACTS", default=[])
# As JSON: {"/spec/templates/*/tolerations": [[{"key": "gpu", "operator": "Exists"}]], "/spec/priority": null}
MANIFEST_ALLOWED_FIELDS = env.json("MANIFEST_ALLOWED_FIELDS", default={})
ALLOWED_IMAGE_REGISTRIES = env.list("ALLOWED_IMAGE_REGISTRIES", default=[IMAGE_REGISTRY])
ALLOWED_IMAGES = env.list("ALLOWED_IMAGES", default=[])

# Engines by alias; ENGINE names the one that new runs go to.

ENGINE = env.str("ENGINE", default=engine_of(os.environ))
ENGINES: dict[str, dict[str, Any]] = {}
# An installation with a cluster runs no Workflows on the service's own machine.
if env.bool("LOCAL_ENGINE", default=ENGINE == "local"):
    ENGINES["local"] = {
        "class": "engines.local.LocalEngine",
        "refusals": "engines.local.refusals.refusals_of",
        "options": {
            "root": str(DATA_DIR / "engine"),
            # Beside the shipped ones; as JSON: {"my-engine:*": {"command": ["…"], "env": {…}, "working_dir": "…"}}.
            "images": env.json("LOCAL_ENGINE_IMAGES", default={}),
            "nodes": [
                {CENTRAL_NODE_LABEL_KEY: CENTRAL_NODE_LABEL_VALUE},
                *({"dataPartner": partner} for partner in VALID_DATA_PARTNERS),
            ],
            "gateways": list(
                dict.fromkeys(
                    [
                        f"{ORCHESTRATOR_API_HOSTNAME}={LISTEN_ADDRESS}"
                        if LISTEN_ADDRESS
                        else ORCHESTRATOR_API_HOSTNAME,
                        *([MAAS_API_HOSTNAME] if MAAS_API_HOSTNAME != ORCHESTRATOR_API_HOSTNAME else []),
                        *env.list("FEDERATED_KAFKA_BOOTSTRAP_SERVERS", default=[]),
                        *env.list("FEDERATED_KAFKA_WORKFLOW_BOOTSTRAP_SERVERS", default=[]),
                        *env.list("LOCAL_ENGINE_GATEWAYS", default=[]),
                    ]
                )
            ),
            "hidden_paths": [str(DATA_DIR), *([] if MEDIA_ROOT.is_relative_to(DATA_DIR) else [str(MEDIA_ROOT)])],
            "readable_paths": env.list("LOCAL_ENGINE_READABLE_PATHS", default=[]),
            "max_processes": env.int("LOCAL_ENGINE_MAX_PROCESSES", default=1024),
            "hostpath_allow": folders_of(DATA_PARTNER_PATHS, LOCAL_ENGINE_HOST_PATHS),
            "hostpath_writable": env.list("LOCAL_ENGINE_WRITABLE_HOST_PATHS", default=[]),
            "disk_bytes": env.str("LOCAL_ENGINE_RUN_DISK", default="20Gi"),
            # Empty: by the size of the disk.
            "disk_reserve_bytes": env.str("LOCAL_ENGINE_DISK_RESERVE", default=""),
            "log_bytes": env.str("LOCAL_ENGINE_LOG_SIZE", default="100Mi"),
            # 0: by the number of cores.
            "max_pods": env.int("LOCAL_ENGINE_MAX_PODS", default=0),
        },
    }
ARGO_KUBECONFIG = env.str("ARGO_KUBECONFIG", default="")
ARGO_NAMESPACE = env.str("ARGO_NAMESPACE", default="")
# For Workflows that need more than Pod Security Standards' `restricted`; if equal to the other, all run there.
ARGO_PRIVILEGED_NAMESPACE = env.str("ARGO_PRIVILEGED_NAMESPACE", default="")
# Imported only where a cluster is configured.
if ENGINE == "argo" or ARGO_KUBECONFIG or ARGO_NAMESPACE:
    _namespace = ARGO_NAMESPACE or "argo"
    _argo: dict[str, Any] = {
        "kubeconfig": ARGO_KUBECONFIG,
        "context": env.str("ARGO_CONTEXT", default=""),
        "namespace": _namespace,
        "service_account": env.str("ARGO_SERVICE_ACCOUNT", default=""),
        "executor_service_account": env.str("ARGO_EXECUTOR_SERVICE_ACCOUNT", default=""),
        "instance_id": env.str("ARGO_INSTANCE_ID", default=""),
        "requests_per_second": env.float("ARGO_REQUESTS_PER_SECOND", default=20.0),
        "burst": env.int("ARGO_BURST", default=40),
        "timeout_seconds": env.float("ARGO_TIMEOUT_SECONDS", default=15.0),
        "root_images": env.list("ARGO_ROOT_IMAGES", default=[]),
        "restricted": _namespace != ARGO_PRIVILEGED_NAMESPACE,
    }
    ENGINES["argo"] = {"class": "engines.argo.ArgoEngine", "options": _argo}
    if ARGO_PRIVILEGED_NAMESPACE and _argo["restricted"]:
        _privileged = {**_argo, "namespace": ARGO_PRIVILEGED_NAMESPACE, "restricted": False}
        ENGINES["argo-privileged"] = {"class": "engines.argo.ArgoEngine", "options": _privileged}
        _argo["privileged_engine"] = "argo-privileged"

# Channels of federated training: adapters by alias; FEDERATED_ADAPTER names the one that new channels go to.

FEDERATED_ADAPTER = env.str("FEDERATED_ADAPTER", default=adapter_of(os.environ))
FEDERATED_ADAPTERS: dict[str, dict[str, Any]] = {
    "database": {
        "class": "federated.adapters.database.DatabaseAdapter",
        "options": {"api": f"{ORCHESTRATOR_API_SCHEME}://{ORCHESTRATOR_API_HOSTNAME}"},
    },
}
# Of a model's zip, in kilobytes of 1024 bytes, unless the execution or the Schema declares another.
FEDERATED_MAX_MODEL_KILOBYTES = env.int("FEDERATED_MAX_MODEL_KILOBYTES", default=50 * 1024)
# How long server and clients wait for each other to start.
FEDERATED_INITIALIZATION_SECONDS = env.int(
    "FEDERATED_INITIALIZATION_SECONDS", default=EXECUTION_PENDING_DEADLINE_SECONDS
)
# How long a round may take for managers that take their variables from the installation's ConfigMaps.
FEDERATED_ITERATION_SECONDS = env.int("FEDERATED_ITERATION_SECONDS", default=24 * 3600)
# How many requests of one process may wait for messages at once.
FEDERATED_WAITING_REQUESTS = env.int("FEDERATED_WAITING_REQUESTS", default=1000)
FEDERATED_KAFKA_BOOTSTRAP_SERVERS = env.str("FEDERATED_KAFKA_BOOTSTRAP_SERVERS", default="")
if FEDERATED_ADAPTER == "kafka" or FEDERATED_KAFKA_BOOTSTRAP_SERVERS:
    FEDERATED_ADAPTERS["kafka"] = {
        "class": "federated.adapters.kafka.KafkaAdapter",
        "options": {
            "bootstrap_servers": FEDERATED_KAFKA_BOOTSTRAP_SERVERS,
            "workflow_bootstrap_servers": env.str("FEDERATED_KAFKA_WORKFLOW_BOOTSTRAP_SERVERS", default=""),
            "security_protocol": env.str("FEDERATED_KAFKA_SECURITY_PROTOCOL", default="PLAINTEXT"),
            "ca_file": env.str("FEDERATED_KAFKA_CA_FILE", default=""),
            "ca": env.str("FEDERATED_KAFKA_CA", default=""),
            "sasl_mechanism": env.str("FEDERATED_KAFKA_SASL_MECHANISM", default="SCRAM-SHA-512"),
            "username": env.str("FEDERATED_KAFKA_USERNAME", default=""),
            "password": env.str("FEDERATED_KAFKA_PASSWORD", default=""),
            "workflow_username": env.str("FEDERATED_KAFKA_WORKFLOW_USERNAME", default=""),
            "workflow_password": env.str("FEDERATED_KAFKA_WORKFLOW_PASSWORD", default=""),
            # -1: as many as the broker's own default says.
            "replication_factor": env.int("FEDERATED_KAFKA_REPLICATION_FACTOR", default=-1),
            "status_retention_seconds": EXECUTION_DEADLINE_SECONDS + EXECUTION_PENDING_DEADLINE_SECONDS,
            "timeout_seconds": env.float("FEDERATED_KAFKA_TIMEOUT_SECONDS", default=15.0),
            # The storage for models beside the topics; empty: models go over the topics.
            "claim_check_api": (
                f"{ORCHESTRATOR_API_SCHEME}://{ORCHESTRATOR_API_HOSTNAME}"
                if env.bool("FEDERATED_CLAIM_CHECK", default=False)
                else ""
            ),
        },
    }
