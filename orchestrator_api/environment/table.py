"""Every variable that the service reads, in the order of docs/reference/configuration.md, which is generated from it.

`default` is the default as orchestrator_api/settings.py has it, in words where it depends on others; a test holds the
two together. `field_name` is what other installations of this kind call the same setting: both names are honoured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator_api.environment import forms
from orchestrator_api.environment.addresses import DATABASE_URL, STORAGE_URL
from orchestrator_api.environment.documents import ALLOWED_FIELDS, CLAIMS, LOCAL_IMAGES, PARTNER_PATHS
from orchestrator_api.environment.forms import FLAG, SECRET, Form, number, one_of, quantity, seconds, text, whole

NONE = "none"
EMPTY = "empty"
_POD_DATA = "below `/tmp/input_elements/`"
PLATFORM_VARS = "AI_ENGINE_PLATFORM_VARS_"


@dataclass(frozen=True)
class Variable:
    """One variable: `default` is a value, `default_says` the words for it where a value does not say it.

    `notice` is told at the start where the variable is set: what comes of it is less than its name promises.
    """

    name: str
    form: Form
    default: Any
    meaning: str
    field_name: str = ""
    default_says: str = ""
    notice: str = ""


@dataclass(frozen=True)
class Section:
    """A table of the page, under its heading."""

    title: str
    variables: tuple[Variable, ...]


SERVICE = Section(
    "Service",
    (
        Variable("SECRET_KEY", Form("a secret text of 50 characters or more", str, is_secret=True), None, "signs sessions and callback tokens", default_says=NONE),
        Variable("SECRET_KEY_FALLBACKS", forms.SECRETS, [], "former secrets, still good for what they signed"),
        Variable("ALLOWED_HOSTS", forms.names("host names"), [], "host names the service answers to", default_says=NONE),
        Variable("CSRF_TRUSTED_ORIGINS", forms.ORIGINS, [], "origins whose forms the admin takes"),
        Variable("DEBUG", forms.DEVELOPMENT, False, "for development only; the database is SQLite, whatever `DATABASE_NAME` and its like say"),
        Variable("HTTPS_ONLY", FLAG, True, "secure cookies; pages that come by plain HTTP are redirected, calls of `/api/` refused", default_says="true, with `DEBUG` false"),
        Variable("PLAIN_HTTP_FROM", forms.NETWORKS, None, "whose calls of `/api/` may come by plain HTTP all the same", default_says="loopback"),
        Variable("PLAIN_HTTP_FOR_WORKFLOWS", FLAG, None, "Workflows' calls may, wherever their pods are; they are known by their tokens", default_says="true where they are told `http`"),
        Variable("SECURE_HSTS_SECONDS", seconds(0), 3600, "how long browsers insist on HTTPS", default_says="3600 with `HTTPS_ONLY`"),
        Variable("TRUSTED_PROXIES", forms.NETWORKS, None, "the proxies whose `X-Forwarded-Proto` and `X-Forwarded-For` are believed. They must set the one and append to the other; from anybody else both are dropped", default_says="empty; loopback with `BEHIND_PROXY`"),
        Variable("BEHIND_PROXY", FLAG, False, "a proxy runs on this machine"),
        Variable("SESSION_HOURS", whole(1, 24 * 366), 8, "how long a login to the admin is good, at most; it ends with the browser too"),
        Variable("LOGIN_FAILURES_PER_ACCOUNT", whole(), 10, "after which logins to an account have to wait"),
        Variable("LOGIN_FAILURES_PER_ADDRESS", whole(), 20, "after which logins from an address have to wait"),
        Variable("LOGIN_FAILURES_WINDOW_SECONDS", seconds(), 900, "how long failures count, from the first on"),
        Variable("ADMIN_ENABLED", FLAG, True, "serve the admin, the API's documentation and their files; off, only `/api/` and `/health/` are there, for processes that only Workflows call"),
        Variable("DATA_DIR", forms.FOLDER, None, "database, files, uploads under way, the local engine", default_says="`var` in the project"),
        Variable("DATABASE_URL", DATABASE_URL, None, "the database", default_says="what `DATABASE_ENGINE` and its like say, else SQLite in `DATA_DIR`, with a warning"),
        Variable("DATABASE_ENGINE", one_of(("postgresql", "sqlite3")), None, "with the five below: the database, in place of `DATABASE_URL`", default_says=NONE),
        Variable("DATABASE_NAME", text("the database's name, or the path of SQLite's file"), None, "", default_says=NONE),
        Variable("DATABASE_USERNAME", text(), None, "", default_says=NONE),
        Variable("DATABASE_PASSWORD", SECRET, None, "", default_says=EMPTY),
        Variable("DATABASE_HOST", text("a host, or the folder of a socket"), None, "", default_says=NONE),
        Variable("DATABASE_PORT", forms.PORT, None, "", default_says="PostgreSQL's"),
        Variable("DATABASE_CONNECTION_MAX_AGE_SECONDS", seconds(0), 600, "how long a connection to the database is kept"),
        Variable("MEDIA_ROOT", forms.PLACE, None, "where files are kept", default_says="`media` in `DATA_DIR`"),
        Variable("MEDIA_URL", text("a path or an address"), "", "where Django lets files' own addresses begin", notice="the API gives files out itself, at the addresses that its answers name"),
        Variable("STATIC_ROOT", forms.PLACE, None, "where `manage.py collectstatic` puts the admin's files, for a server in front; the service needs none there", default_says=NONE),
        Variable("STORAGE_URL", STORAGE_URL, "", "an object store for files", default_says="empty: files in `MEDIA_ROOT`"),
        Variable("MAX_REQUEST_BYTES", whole(), 20 * 1024**3, "the largest request", default_says="20 GiB"),
        Variable("MAX_DATA_BYTES", whole(), 32 * 1024**2, "the largest JSON document in one", default_says="32 MiB"),
        Variable("MAX_DATA_VALUES", whole(), 2_000_000, "the most values in a JSON document; commas and brackets in its texts count"),
        Variable("DOCUMENTS_AT_ONCE_BYTES", whole(), None, "JSON documents of more than a megabyte that one process works on at once; who waits for 20 s gets 503", default_says="`MAX_DATA_BYTES`"),
        Variable("LOG_FORMAT", one_of(("json", "text")), "json", "`text` for people"),
        Variable("LOG_LEVEL", forms.LEVEL, "INFO", "from which level on lines are logged", field_name="LOGLEVEL"),
        Variable("API_TOKEN_LIFETIME_DAYS", whole(1, 36_600), 90, "of tokens made without a lifetime"),
        Variable("IDEMPOTENCY_KEY_LIFETIME_SECONDS", seconds(), 24 * 3600, "how long a first answer is kept"),
        Variable("IDEMPOTENCY_LEASE_SECONDS", seconds(), 120, "after which a request that is still under way counts as dead"),
        Variable("BIND", forms.BIND, "0.0.0.0:8900", "gunicorn: address (outside `make run`)"),
        Variable("WEB_WORKERS", whole(1, 1000), 1, "gunicorn: processes"),
        Variable("GUNICORN_CMD_ARGS", forms.OPTIONS, "", "read by gunicorn itself, and more than the two above"),
        Variable("WEB_THREADS", whole(1, 10_000), 64, "requests that one process works on at once; who follows a log or waits for messages takes none"),
        Variable("MAX_CONNECTIONS", whole(), 8192, "of one process, where it may have as many descriptors and 1024 more; beyond, the connection that waits longest for its request is closed with 503"),
        Variable("MAX_CONNECTIONS_PER_ADDRESS", whole(), 4096, "of one address; behind a proxy all come from one"),
        Variable("CLIENT_HEAD_SECONDS", number(), 10.0, "until the head of a request is there, else 408"),
        Variable("CLIENT_BODY_SECONDS", number(), 20.0, "for how long nothing of a body may come, else 408"),
        Variable("CLIENT_BODY_BYTES_PER_SECOND", whole(0), 1000, "what has to come of a body on the whole after as long, else 408"),
        Variable("CLIENT_READ_SECONDS", number(), 30.0, "for how long a client may take nothing of its answer, which is cut then"),
        Variable("LOG_FOLLOWERS", whole(0), 2000, "readers that follow logs in one process; beyond, 503"),
        Variable("LOG_FOLLOWERS_BY_THREAD", whole(0), 64, "those of them whose engine needs a thread for each (`argo`); beyond, 503"),
    ),
)  # fmt: skip
REGISTRY = Section(
    "Model registry",
    (
        Variable("ORCHESTRATOR_API_HOSTNAME", forms.HOST, "127.0.0.1:8900", "where Workflows find the API"),
        Variable("LISTEN_ADDRESS", forms.HOST, "", "where the API listens, if the local engine's pods are to reach it by `ORCHESTRATOR_API_HOSTNAME` all the same: that stays when the port changes", default_says="empty; `make run` sets it"),
        Variable("MAAS_API_HOSTNAME", forms.HOST, None, "where Workflows and this service find the model registry", default_says="`ORCHESTRATOR_API_HOSTNAME`"),
        Variable("ORCHESTRATOR_API_SCHEME", one_of(("http", "https")), "http", "`https`: Workflows' step runners and federated managers call the API by HTTPS, whatever their manifests write"),
        Variable("MAAS_API_SCHEME", one_of(("http", "https")), "http", "the same for the registry, and for this service's questions to it", default_says="as the API's where the host is the same, else `http`"),
        Variable("API_CA_FILE", forms.CERTIFICATES, "", "certificates to trust for both as well; Workflows get their text", default_says="none: the known authorities"),
        Variable("MAAS_API_TOKEN", forms.TOKEN, "", "the token the orchestrator shows the registry"),
        Variable("VALIDATE_WITH_MAAS", forms.DEVELOPMENT, True, "ask the registry about versions and models; off: defaults, ids are taken as they come"),
        Variable("REGISTRY_CLIENT_CONCURRENCY", whole(1, 1000), 8, "requests to the registry at once; less than a fifth of `WEB_THREADS` when the service is its own registry"),
    ),
)  # fmt: skip
PARTNERS = Section(
    "Partners, nodes, AI engines",
    (
        Variable("VALID_DATA_PARTNERS", forms.names("names of data partners, each a label's value", forms.LABEL, needed=True), ["data-partner-1", "data-partner-2", "data-partner-3"], "who may be named in an execution"),
        Variable("DATA_PARTNER_CLAIMS", CLAIMS, {}, "partner → `system_path` → the PersistentVolumeClaim that holds that folder, on a cluster ([how](../how-to/run-on-kubernetes.md#3-nodes-and-data-partners))"),
        Variable("VALID_AI_ENGINE_FUNCTIONALITIES", forms.names("names of use cases", needed=True), None, "what a Schema may ask of an AI engine", default_says="the five use cases"),
        Variable("VALID_AI_ENGINE_ROLE_TYPES", forms.names("role types"), [], "what the model registry takes as an AI engine's role type", default_says="empty: any"),
        Variable("VALID_AI_ENGINE_DATA_TYPES", forms.names("data types"), [], "what it takes as an AI engine's data types", default_says="empty: any"),
        Variable("CENTRAL_NODE_LABEL_KEY", forms.LABEL_KEY, "nodeType", "the central node's label", "PLATFORM_CENTRAL_NODE_LABEL_KEY"),
        Variable("CENTRAL_NODE_LABEL_VALUE", forms.LABEL_VALUE, "central", "its value", "PLATFORM_CENTRAL_NODE_LABEL_VALUE"),
        Variable("IMAGE_REGISTRY", forms.REGISTRY, "localhost:5000", "where the shipped manifests take their images from"),
        Variable("PROCESSOR_RESOURCE_MANAGER_VERSION", forms.TAG, "2.0.0", "version of the step runner's image"),
        Variable("PROCESSOR_RESOURCE_MANAGER_CALLBACK_URL", forms.URL_PATH, "/api/callback", "where the step runner hears from an AI engine"),
        Variable("PROCESSOR_RESOURCE_MANAGER_API_HOST", forms.HOST_PORT, "127.0.0.1:8000", "where the step runner listens in its pod"),
        Variable("FEDERATED_LEARNING_MANAGER_VERSION", forms.TAG, "2.0.0", "version of the federated manager's image"),
        Variable("AI_ENGINE_API_HOST", forms.HOST_PORT, "127.0.0.1:8001", "where an AI engine listens in its pod", f"{PLATFORM_VARS}API_HOST"),
        Variable("AI_ENGINE_API_PING_URL", forms.URL_PATH, "/api/ping", "by which an AI engine is asked whether it is there", f"{PLATFORM_VARS}API_PING_URL"),
        Variable("AI_ENGINE_API_RUN_URL", forms.URL_PATH, "/api/run", "by which it starts a use case", f"{PLATFORM_VARS}API_RUN_URL"),
        Variable("AI_ENGINE_API_END_URL", forms.URL_PATH, "/api/end", "by which it ends", f"{PLATFORM_VARS}API_END_URL"),
        *(
            Variable(f"AI_ENGINE_{name}", forms.POD_PATH, default, "a path of `platform_vars.json`", f"{PLATFORM_VARS}{name}")
            for name, default in {
                "INPUT_ELEMENTS": "/tmp/input_elements/",
                "INPUT_DATA_TRAINING_TABULAR": "/tmp/input_elements/platform_data/",
                "INPUT_DATA_TRAINING_IMAGERY": "/tmp/input_elements/platform_data/",
                "INPUT_DATA_EVALUATION_TABULAR": "/tmp/input_elements/platform_data/",
                "INPUT_DATA_EVALUATION_IMAGERY": "/tmp/input_elements/platform_data/",
                "INPUT_DATA_INFERENCE": "/tmp/input_elements/external_data/",
                "INPUT_DATA_INFERENCE_REPORT_METADATA": "/tmp/input_elements/external_data/report_metadata.json",
                "INPUT_AI_ELEMENTS": "/tmp/ai_elements/",
                "INPUT_USER_VARS": "/tmp/ai_elements/ai_engine_version_user_vars.json",
                "INPUT_MODEL": "/tmp/ai_elements/ai_model/",
                "INPUT_MODELS": "/tmp/ai_elements/ai_models/",
                "OUTPUT_ELEMENTS": "/tmp/output_elements/",
                "OUTPUT_MODEL": "/tmp/output_elements/ai_model/",
                "OUTPUT_EVALUATION_METRICS": "/tmp/output_elements/evaluation_metrics.json",
                "OUTPUT_INFERENCE_RESULTS": "/tmp/output_elements/generic_file/",
            }.items()
        ),
        Variable("AI_ENGINE_CONFIG_MAP_NAME", forms.OBJECT, "", "a fixed name for the ConfigMap with the platform's variables", f"{PLATFORM_VARS}CONFIG_MAP_NAME", default_says="empty: one for each Workflow"),
        Variable("EXECUTION_DEADLINE_SECONDS", seconds(), 7 * 24 * 3600, "a whole execution", default_says="7 days"),
        Variable("EXECUTION_PENDING_DEADLINE_SECONDS", seconds(), 3600, "until something of it has started"),
        Variable("EXECUTION_END_GRACE_SECONDS", seconds(), 120, "what still runs of a Workflow after its execution has ended, until it is stopped"),
    ),
)  # fmt: skip
WORKFLOWS = Section(
    "What Workflows may do",
    (
        Variable("WORKFLOW_CALLBACKS_OPEN", FLAG, False, "take callbacks and downloads without a token, for images that send none; attempts, roles and data partners of an execution cannot be told apart then"),
        Variable("CALLBACK_TOKEN_IMAGES", forms.names("names of images"), ["processor-resource-manager", "federated-learning-manager"], "images whose containers get a callback token, that of their role and data partner"),
        Variable("MANIFEST_SERVICE_ACCOUNTS", forms.OBJECTS, ["argo-workflow"], "service accounts a manifest may name"),
        Variable("MANIFEST_ALLOW_HOST_NETWORK", FLAG, False, "let manifests ask for their node's network, as many in the field do"),
        Variable("MANIFEST_CONFIG_MAPS", forms.OBJECTS, ["federated-learning-manager-client", "federated-learning-manager-server"], "ConfigMaps that any Workflow may read; those that the service makes for a Workflow are its own anyway"),
        Variable("MANIFEST_SECRETS", forms.OBJECTS, [], "Secrets that any Workflow may read"),
        Variable("MANIFEST_VOLUME_CLAIMS", forms.OBJECTS, [], "PersistentVolumeClaims that any Workflow may mount"),
        Variable("MANIFEST_ARTIFACT_ENDPOINTS", forms.names("addresses of blob stores"), [], "blob stores that artifacts may name, as manifests write them; where all engines are of one machine, which keeps artifacts itself, any host name may stand there"),
        Variable("MANIFEST_HTTP_ARTIFACTS", forms.ORIGINS, [], "where `http` artifacts may be fetched from: scheme, host and port. They are fetched by their pod, so on one machine the host must be a gateway as well (`LOCAL_ENGINE_GATEWAYS`)"),
        Variable("MANIFEST_ALLOWED_FIELDS", ALLOWED_FIELDS, {}, "what manifests may hold beside the table, see below"),
        Variable("ALLOWED_IMAGE_REGISTRIES", forms.REGISTRIES, None, "registries from which the shipped programs and registered AI engines may be run", default_says="`IMAGE_REGISTRY`"),
        Variable("ALLOWED_IMAGES", forms.IMAGES, [], "further images"),
        Variable("DATA_PARTNER_PATHS", PARTNER_PATHS, {}, "data partner → list of the folders on its nodes below which its `system_path` may lie", default_says="no path; with `LOCAL_ENGINE_HOST_PATHS` those, for every partner"),
    ),
)  # fmt: skip
ENGINES = Section(
    "Engines",
    (
        Variable("ENGINE", one_of(("local", "argo")), "local", "the engine that new runs go to", default_says="`local`; `argo` where `ARGO_WORKFLOWS_NAMESPACE` or `ARGO_WORKFLOWS_API_HOST` is set"),
        Variable("LOCAL_ENGINE", FLAG, None, "have the engine `local`", default_says="true where `ENGINE` is `local`, else false"),
        Variable("LOCAL_ENGINE_IMAGES", LOCAL_IMAGES, {}, "image pattern → what stands for it, before the shipped ones"),
        Variable("LOCAL_ENGINE_GATEWAYS", forms.HOST_PORTS, [], "further addresses that pods may call"),
        Variable("LOCAL_ENGINE_HOST_PATHS", forms.PATHS, [], "folders below which the `system_path` of any data partner may lie, beside those of `DATA_PARTNER_PATHS`"),
        Variable("LOCAL_ENGINE_READABLE_PATHS", forms.PATHS, [], "paths of the host that all pods may read, beside its programs"),
        Variable("LOCAL_ENGINE_MAX_PROCESSES", whole(32), 1024, "processes, threads included, that one container may have"),
        Variable("LOCAL_ENGINE_WRITABLE_HOST_PATHS", forms.PATHS, [], "those of the folders above that pods write as well"),
        Variable("LOCAL_ENGINE_RUN_DISK", quantity(1 << 20), "20Gi", "what one run may take of the disk, with its logs and artifacts"),
        Variable("LOCAL_ENGINE_DISK_RESERVE", quantity(0), "", "what all runs together leave free where `DATA_DIR` lies; `0` for nothing", default_says="a twentieth of the disk, from 1 to 10 GiB"),
        Variable("LOCAL_ENGINE_LOG_SIZE", quantity(64 << 10), "100Mi", "how much is kept of what a container writes to its stdout, and to its stderr"),
        Variable("LOCAL_ENGINE_MAX_PODS", whole(0, 100_000), 0, "pods that run at once, over all Workflows", default_says="0: 8 for each core, at least 32"),
        Variable("ARGO_KUBECONFIG", forms.KUBECONFIG, "", "the cluster of the engine `argo`", default_says="empty: the pod's service account, else what `KUBECONFIG` names"),
        Variable("ARGO_CONTEXT", text("a context of that file"), "", "the context in the file"),
        Variable("ARGO_NAMESPACE", forms.NAMESPACE, "", "where its Workflows run", "ARGO_WORKFLOWS_NAMESPACE", default_says="`argo`"),
        Variable("ARGO_WORKFLOWS_API_HOST", text("any address"), "", "Argo's own server", notice="it is not needed: the service talks to the API of Kubernetes, and Argo's controller does the rest"),
        Variable("ARGO_PRIVILEGED_NAMESPACE", forms.NAMESPACE, "", "where Workflows run whose pods need hostPath volumes, the network of their node or root; `ARGO_NAMESPACE` itself: all run there, and no pod is held to less", default_says="empty: they are refused"),
        Variable("ARGO_ROOT_IMAGES", forms.names("patterns of images, such as `my-engine:*`"), [], "images that run as root: their Workflows run in `ARGO_PRIVILEGED_NAMESPACE`"),
        Variable("ARGO_SERVICE_ACCOUNT", forms.OBJECT, "", "of Workflows whose manifest names none", default_says="empty: the namespace's default"),
        Variable("ARGO_EXECUTOR_SERVICE_ACCOUNT", forms.OBJECT, "", "of Argo's own containers in each pod, which alone have a token then; Argo finds it in the Secret `NAME.service-account-token`", default_says="empty: every container has the token of the Workflow's service account"),
        Variable("ARGO_INSTANCE_ID", forms.INSTANCE, "", "of the Argo controller that is to run them; two orchestrators share a namespace only with one each"),
        Variable("ARGO_REQUESTS_PER_SECOND", number(), 20.0, "what one process asks of the API server at most, in the long run"),
        Variable("ARGO_BURST", whole(), 40, "and at once"),
        Variable("ARGO_TIMEOUT_SECONDS", number(), 15.0, "to connect, and for each wait for an answer"),
    ),
)  # fmt: skip
FEDERATED = Section(
    "Federated training",
    (
        Variable("FEDERATED_ADAPTER", one_of(("database", "kafka")), "database", "what carries the messages of new federated trainings: `database` (this service, over its API) or `kafka`", "COMMUNICATION_ADAPTER", default_says="`database`; `kafka` where `KAFKA_BOOTSTRAP_SERVERS` is set"),
        Variable("FEDERATED_MAX_MODEL_KILOBYTES", whole(), 51200, "of a model's zip, in kilobytes of 1024 bytes, where neither execution nor Schema declares it", "KAFKA_MAX_MODEL_SIZE"),
        Variable("FEDERATED_ITERATION_SECONDS", seconds(), 86400, "how long an iteration may take for managers that take their variables from the ConfigMaps `federated-learning-manager-client` and `-server`"),
        Variable("FEDERATED_INITIALIZATION_SECONDS", seconds(), None, "how long a server waits for its clients to start, and they for it", default_says="`EXECUTION_PENDING_DEADLINE_SECONDS`"),
        Variable("FEDERATED_WAITING_REQUESTS", whole(0), 1000, "how many long polls one API process holds at once; they take no thread"),
        Variable("FEDERATED_KAFKA_BOOTSTRAP_SERVERS", forms.HOST_PORTS, "", "brokers as this service reaches them", "KAFKA_BOOTSTRAP_SERVERS", default_says=EMPTY),
        Variable("FEDERATED_KAFKA_WORKFLOW_BOOTSTRAP_SERVERS", forms.HOST_PORTS, "", "brokers as Workflows reach them", default_says="the same"),
        Variable("FEDERATED_KAFKA_SECURITY_PROTOCOL", one_of(("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")), "PLAINTEXT", "for this service and for Workflows"),
        Variable("FEDERATED_KAFKA_CA_FILE", forms.CERTIFICATE_FILE, "", "certificates to trust (PEM); Workflows get their text", default_says="the system's"),
        Variable("FEDERATED_KAFKA_CA", Form("the text of certificates (PEM)", str, is_secret=True), "", "the same, as text", default_says="the system's"),
        Variable("FEDERATED_KAFKA_SASL_MECHANISM", one_of(("SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN")), "SCRAM-SHA-512", "how users prove who they are"),
        Variable("FEDERATED_KAFKA_USERNAME", text(), "", "who this service is to the brokers"),
        Variable("FEDERATED_KAFKA_PASSWORD", SECRET, "", "its password"),
        Variable("FEDERATED_KAFKA_WORKFLOW_USERNAME", text(), "", "who all Workflows are", default_says="empty: a SCRAM user for each channel"),
        Variable("FEDERATED_KAFKA_WORKFLOW_PASSWORD", SECRET, "", "their password"),
        Variable("FEDERATED_KAFKA_REPLICATION_FACTOR", forms.REPLICAS, -1, "of topics", default_says="-1: the brokers' default"),
        Variable("FEDERATED_KAFKA_TIMEOUT_SECONDS", number(), 15.0, "to connect, and for each answer"),
        Variable("FEDERATED_CLAIM_CHECK", FLAG, False, "with Kafka: models go into this service's storage, only references over topics"),
    ),
)  # fmt: skip
SECTIONS = (SERVICE, REGISTRY, PARTNERS, WORKFLOWS, ENGINES, FEDERATED)


def variables() -> Iterator[Variable]:
    """Yield every variable, in the order of the page."""
    for section in SECTIONS:
        yield from section.variables


BY_NAME = {variable.name: variable for variable in variables()}
# By what other installations call them.
BY_FIELD_NAME = {variable.field_name: variable for variable in variables() if variable.field_name}
