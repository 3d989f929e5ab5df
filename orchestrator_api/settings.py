"""Settings, all by environment; docs/reference/configuration.md lists them.

Production is the default: without DEBUG there is no default secret and no default host.
"""

from __future__ import annotations

from pathlib import Path

import environ

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "var")))

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="insecure-debug-key" if DEBUG else environ.Env.NOTSET)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["*"] if DEBUG else [])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "orchestrator_api",
    "runs",
    "registry",
    "schemas",
    "executions",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

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

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'orchestrator.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # WAL lets readers go on beside the one writer; IMMEDIATE takes the write lock at BEGIN, so that a transaction
    # waits for its turn instead of failing in the middle when it first writes.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
MEDIA_ROOT = DATA_DIR / "media"

REST_FRAMEWORK: dict[str, object] = {}

# Where callers and Workflows find the orchestrator and the model registry (host:port).
ORCHESTRATOR_API_HOSTNAME = env.str("ORCHESTRATOR_API_HOSTNAME", default="127.0.0.1:8900")
MAAS_API_HOSTNAME = env.str("MAAS_API_HOSTNAME", default=ORCHESTRATOR_API_HOSTNAME)
VALIDATE_WITH_MAAS = env.bool("VALIDATE_WITH_MAAS", default=True)
VALID_DATA_PARTNERS = env.list("VALID_DATA_PARTNERS", default=["data-partner-1", "data-partner-2"])
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
CENTRAL_NODE_LABEL_KEY = env.str("CENTRAL_NODE_LABEL_KEY", default="nodeType")
CENTRAL_NODE_LABEL_VALUE = env.str("CENTRAL_NODE_LABEL_VALUE", default="central")

# Engines by alias; ENGINE names the one that new runs go to.
ENGINE = env.str("ENGINE", default="local")
ENGINES: dict[str, dict[str, object]] = {
    "local": {"class": "engines.local.LocalEngine", "options": {"root": str(DATA_DIR / "engine")}},
}
