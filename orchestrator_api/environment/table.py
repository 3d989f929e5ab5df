"""Every variable that the service reads, in the order of docs/reference/configuration.md, which is generated from it.

`default` is the default as orchestrator_api/settings.py has it, in words where it depends on others; a test compares
them. `field_name` is the name of the same setting in other installations of this kind: both names are read.
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
    """One variable: `default` is a value, `default_says` describes it where the value alone does not.

    `notice` is logged at the start where the variable is set, if it does less than its name promises.
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
        Variable("SECRET_KEY", Form("a secret text of 50 characters or more", str, is_secret=True), None, "the key that signs sessions and callback tokens", default_says=NONE),
        Variable("SECRET_KEY_FALLBACKS", forms.SECRETS, [], "former secrets; what they signed stays valid"),
        Variable("ALLOWED_HOSTS", forms.names("host names"), [], "the host names that the service answers to", default_says=NONE),
        Variable("CSRF_TRUSTED_ORIGINS", forms.ORIGINS, [], "the origins whose forms the admin accepts"),
        Variable("DEBUG", forms.DEVELOPMENT, False, "for development only; the database is SQLite, and `DATABASE_NAME` and the others of its kind are ignored"),
        Variable("HTTPS_ONLY", FLAG, True, "cookies are sent by HTTPS only; requests by plain HTTP are redirected for pages and refused for `/api/`", default_says="true, with `DEBUG` false"),
        Variable("PLAIN_HTTP_FROM", forms.NETWORKS, None, "callers that may call `/api/` by plain HTTP in spite of `HTTPS_ONLY`", default_says="loopback"),
        Variable("PLAIN_HTTP_FOR_WORKFLOWS", FLAG, None, "Workflows may call `/api/` by plain HTTP from any address; their tokens identify them", default_says="true where `ORCHESTRATOR_API_SCHEME` is `http`"),
        Variable("SECURE_HSTS_SECONDS", seconds(0), 3600, "how long browsers use HTTPS only (`Strict-Transport-Security`)", default_says="3600 with `HTTPS_ONLY`"),
        Variable("TRUSTED_PROXIES", forms.NETWORKS, None, "the proxies whose `X-Forwarded-Proto` and `X-Forwarded-For` are trusted. A proxy must set the first and append to the second; from other senders both headers are ignored", default_says="empty; loopback with `BEHIND_PROXY`"),
        Variable("BEHIND_PROXY", FLAG, False, "a proxy runs on this machine"),
        Variable("SESSION_HOURS", whole(1, 24 * 366), 8, "how long a login to the admin is valid at most; it also ends when the browser is closed"),
        Variable("LOGIN_FAILURES_PER_ACCOUNT", whole(), 10, "failed logins after which an account has to wait"),
        Variable("LOGIN_FAILURES_PER_ADDRESS", whole(), 20, "failed logins after which an address has to wait"),
        Variable("LOGIN_FAILURES_WINDOW_SECONDS", seconds(), 900, "how long failed logins count, from the first one"),
        Variable("ADMIN_ENABLED", FLAG, True, "serve the admin, the API's documentation and their files. If false, only `/api/` and `/health/` are served, for processes that only Workflows call"),
        Variable("DATA_DIR", forms.FOLDER, None, "the folder of the database, files, unfinished uploads and the local engine", default_says="`var` in the project"),
        Variable("DATABASE_URL", DATABASE_URL, None, "the database", default_says="the database of `DATABASE_ENGINE` and the others of its kind, else SQLite in `DATA_DIR`, with a warning"),
        Variable("DATABASE_ENGINE", one_of(("postgresql", "sqlite3")), None, "the database's engine; together with the five variables below it replaces `DATABASE_URL`", default_says=NONE),
        Variable("DATABASE_NAME", text("the database's name, or the path of SQLite's file"), None, "", default_says=NONE),
        Variable("DATABASE_USERNAME", text(), None, "", default_says=NONE),
        Variable("DATABASE_PASSWORD", SECRET, None, "", default_says=EMPTY),
        Variable("DATABASE_HOST", text("a host, or the folder of a socket"), None, "", default_says=NONE),
        Variable("DATABASE_PORT", forms.PORT, None, "", default_says="PostgreSQL's"),
        Variable("DATABASE_CONNECTION_MAX_AGE_SECONDS", seconds(0), 600, "how long a connection to the database is kept"),
        Variable("MEDIA_ROOT", forms.PLACE, None, "the folder of files", default_says="`media` in `DATA_DIR`"),
        Variable("MEDIA_URL", text("a path or an address"), "", "the beginning of files' own addresses in Django", notice="the API serves files itself, at the addresses in its answers"),
        Variable("STATIC_ROOT", forms.PLACE, None, "the folder where `manage.py collectstatic` puts the admin's files for a web server in front; the service itself does not need it", default_says=NONE),
        Variable("STORAGE_URL", STORAGE_URL, "", "an object store for files", default_says="empty: files in `MEDIA_ROOT`"),
        Variable("MAX_REQUEST_BYTES", whole(), 20 * 1024**3, "the largest size of a request", default_says="20 GiB"),
        Variable("MAX_DATA_BYTES", whole(), 32 * 1024**2, "the largest JSON document in a request", default_says="32 MiB"),
        Variable("MAX_DATA_VALUES", whole(), 2_000_000, "the most values in a JSON document; commas and brackets inside strings count too"),
        Variable("DOCUMENTS_AT_ONCE_BYTES", whole(), None, "the total size of JSON documents over one megabyte that one process handles at once; a request that waits for 20 s gets 503", default_says="`MAX_DATA_BYTES`"),
        Variable("LOG_FORMAT", one_of(("json", "text")), "json", "the format of log lines; `text` for people"),
        Variable("LOG_LEVEL", forms.LEVEL, "INFO", "the lowest level that is logged", field_name="LOGLEVEL"),
        Variable("API_TOKEN_LIFETIME_DAYS", whole(1, 36_600), 90, "the lifetime of a token that is made without one"),
        Variable("IDEMPOTENCY_KEY_LIFETIME_SECONDS", seconds(), 24 * 3600, "how long the first answer to an `Idempotency-Key` is kept"),
        Variable("IDEMPOTENCY_LEASE_SECONDS", seconds(), 120, "after this time an unfinished request with an `Idempotency-Key` counts as dead"),
        Variable("BIND", forms.BIND, "0.0.0.0:8900", "gunicorn: address (outside `make run`)"),
        Variable("WEB_WORKERS", whole(1, 1000), 1, "gunicorn: processes"),
        Variable("GUNICORN_CMD_ARGS", forms.OPTIONS, "", "further options; gunicorn reads them itself, and they override the two above"),
        Variable("WEB_THREADS", whole(1, 10_000), 64, "requests that one process handles at once; readers that follow a log or wait for messages take no thread"),
        Variable("MAX_CONNECTIONS", whole(), 8192, "connections of one process, if its limit of file descriptors is higher by 1024. Beyond that, the connection that waits longest for its request is closed with 503"),
        Variable("MAX_CONNECTIONS_PER_ADDRESS", whole(), 4096, "connections from one address; behind a proxy all connections come from one address"),
        Variable("CLIENT_HEAD_SECONDS", number(), 10.0, "how long the head of a request may take, else 408"),
        Variable("CLIENT_BODY_SECONDS", number(), 20.0, "how long a body may pause, else 408"),
        Variable("CLIENT_BODY_BYTES_PER_SECOND", whole(0), 1000, "the average rate that a body must reach after that time, else 408"),
        Variable("CLIENT_READ_SECONDS", number(), 30.0, "how long a client may read nothing of its answer; then the connection is closed"),
        Variable("LOG_FOLLOWERS", whole(0), 2000, "readers that follow logs in one process; more get 503"),
        Variable("LOG_FOLLOWERS_BY_THREAD", whole(0), 64, "readers among them whose engine needs a thread for each (`argo`); more get 503"),
    ),
)  # fmt: skip
REGISTRY = Section(
    "Model registry",
    (
        Variable("ORCHESTRATOR_API_HOSTNAME", forms.HOST, "127.0.0.1:8900", "the address at which Workflows reach the API"),
        Variable("LISTEN_ADDRESS", forms.HOST, "", "the address on which the API listens, if it differs from `ORCHESTRATOR_API_HOSTNAME`. Pods of the local engine reach it under that name, which stays when the port changes", default_says="empty; `make run` sets it"),
        Variable("MAAS_API_HOSTNAME", forms.HOST, None, "the address at which Workflows and this service reach the model registry", default_says="`ORCHESTRATOR_API_HOSTNAME`"),
        Variable("ORCHESTRATOR_API_SCHEME", one_of(("http", "https")), "http", "with `https`, step runners and federated managers call the API by HTTPS, also where their manifests say `http`"),
        Variable("MAAS_API_SCHEME", one_of(("http", "https")), "http", "the same for the model registry, also for this service's own calls", default_says="as the API's where the host is the same, else `http`"),
        Variable("API_CA_FILE", forms.CERTIFICATES, "", "further certificates to trust for the API and the registry; Workflows get their text", default_says="none: the known authorities"),
        Variable("MAAS_API_TOKEN", forms.TOKEN, "", "the token with which the orchestrator calls the registry"),
        Variable("VALIDATE_WITH_MAAS", forms.DEVELOPMENT, True, "check versions and models in the registry. If false, defaults are used and ids are not checked"),
        Variable("REGISTRY_CLIENT_CONCURRENCY", whole(1, 1000), 8, "requests to the registry at once; must be less than a fifth of `WEB_THREADS` when the service is its own registry"),
    ),
)  # fmt: skip
PARTNERS = Section(
    "Partners, nodes, AI engines",
    (
        Variable("VALID_DATA_PARTNERS", forms.names("names of data partners, each a label's value", forms.LABEL, needed=True), ["data-partner-1", "data-partner-2", "data-partner-3"], "the data partners that an execution may name"),
        Variable("DATA_PARTNER_CLAIMS", CLAIMS, {}, "partner → `system_path` → the PersistentVolumeClaim that holds that folder, on a cluster ([how](../how-to/run-on-kubernetes.md#3-nodes-and-data-partners))"),
        Variable("VALID_AI_ENGINE_FUNCTIONALITIES", forms.names("names of use cases", needed=True), None, "the use cases that a Schema may ask of an AI engine", default_says="the five use cases"),
        Variable("VALID_AI_ENGINE_ROLE_TYPES", forms.names("role types"), [], "the role types that the model registry accepts for an AI engine", default_says="empty: any"),
        Variable("VALID_AI_ENGINE_DATA_TYPES", forms.names("data types"), [], "the data types that the model registry accepts for an AI engine", default_says="empty: any"),
        Variable("CENTRAL_NODE_LABEL_KEY", forms.LABEL_KEY, "nodeType", "the key of the central node's label", "PLATFORM_CENTRAL_NODE_LABEL_KEY"),
        Variable("CENTRAL_NODE_LABEL_VALUE", forms.LABEL_VALUE, "central", "the value of the central node's label", "PLATFORM_CENTRAL_NODE_LABEL_VALUE"),
        Variable("IMAGE_REGISTRY", forms.REGISTRY, "localhost:5000", "the registry from which the shipped manifests take their images"),
        Variable("PROCESSOR_RESOURCE_MANAGER_VERSION", forms.TAG, "2.0.0", "the version of the step runner's image"),
        Variable("PROCESSOR_RESOURCE_MANAGER_CALLBACK_URL", forms.URL_PATH, "/api/callback", "the path at which an AI engine calls the step runner back"),
        Variable("PROCESSOR_RESOURCE_MANAGER_API_HOST", forms.HOST_PORT, "127.0.0.1:8000", "the address at which the step runner listens in its pod"),
        Variable("FEDERATED_LEARNING_MANAGER_VERSION", forms.TAG, "2.0.0", "the version of the federated manager's image"),
        Variable("AI_ENGINE_API_HOST", forms.HOST_PORT, "127.0.0.1:8001", "the address at which an AI engine listens in its pod", f"{PLATFORM_VARS}API_HOST"),
        Variable("AI_ENGINE_API_PING_URL", forms.URL_PATH, "/api/ping", "the path by which the step runner asks whether an AI engine is ready", f"{PLATFORM_VARS}API_PING_URL"),
        Variable("AI_ENGINE_API_RUN_URL", forms.URL_PATH, "/api/run", "the path that starts a use case", f"{PLATFORM_VARS}API_RUN_URL"),
        Variable("AI_ENGINE_API_END_URL", forms.URL_PATH, "/api/end", "the path that ends the AI engine", f"{PLATFORM_VARS}API_END_URL"),
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
        Variable("EXECUTION_DEADLINE_SECONDS", seconds(), 7 * 24 * 3600, "how long a whole execution may take", default_says="7 days"),
        Variable("EXECUTION_PENDING_DEADLINE_SECONDS", seconds(), 3600, "how long an execution may wait until a step of it has started"),
        Variable("EXECUTION_END_GRACE_SECONDS", seconds(), 120, "how long a Workflow may go on after its execution has ended, until it is stopped"),
    ),
)  # fmt: skip
WORKFLOWS = Section(
    "What Workflows may do",
    (
        Variable("WORKFLOW_CALLBACKS_OPEN", FLAG, False, "accept callbacks and downloads without a token, for images that send none. The service then cannot tell attempts, roles and data partners of an execution apart"),
        Variable("CALLBACK_TOKEN_IMAGES", forms.names("names of images"), ["processor-resource-manager", "federated-learning-manager"], "images whose containers get a callback token of their role and data partner"),
        Variable("MANIFEST_SERVICE_ACCOUNTS", forms.OBJECTS, ["argo-workflow"], "the service accounts that a manifest may name"),
        Variable("MANIFEST_ALLOW_HOST_NETWORK", FLAG, False, "allow manifests to use the network of their cluster node"),
        Variable("MANIFEST_CONFIG_MAPS", forms.OBJECTS, ["federated-learning-manager-client", "federated-learning-manager-server"], "ConfigMaps that any Workflow may read; a Workflow may always read those that the service makes for it"),
        Variable("MANIFEST_SECRETS", forms.OBJECTS, [], "Secrets that any Workflow may read"),
        Variable("MANIFEST_VOLUME_CLAIMS", forms.OBJECTS, [], "PersistentVolumeClaims that any Workflow may mount"),
        Variable("MANIFEST_ARTIFACT_ENDPOINTS", forms.names("addresses of blob stores"), [], "the blob stores that artifacts may name, written as in manifests. With the local engine alone, which keeps artifacts itself, any host name is allowed"),
        Variable("MANIFEST_HTTP_ARTIFACTS", forms.ORIGINS, [], "the origins from which `http` artifacts may be fetched: scheme, host and port. The pod fetches them, so on the local engine the host must be in `LOCAL_ENGINE_GATEWAYS` too"),
        Variable("MANIFEST_ALLOWED_FIELDS", ALLOWED_FIELDS, {}, "fields that manifests may hold beside the table, see below"),
        Variable("ALLOWED_IMAGE_REGISTRIES", forms.REGISTRIES, None, "the registries from which the shipped programs and registered AI engines may run", default_says="`IMAGE_REGISTRY`"),
        Variable("ALLOWED_IMAGES", forms.IMAGES, [], "further images that may run"),
        Variable("DATA_PARTNER_PATHS", PARTNER_PATHS, {}, "data partner → list of the folders on its cluster nodes below which its `system_path` may lie", default_says="no path; with `LOCAL_ENGINE_HOST_PATHS` those folders, for every data partner"),
    ),
)  # fmt: skip
ENGINES = Section(
    "Engines",
    (
        Variable("ENGINE", one_of(("local", "argo")), "local", "the engine of new runs", default_says="`local`; `argo` where `ARGO_WORKFLOWS_NAMESPACE` or `ARGO_WORKFLOWS_API_HOST` is set"),
        Variable("LOCAL_ENGINE", FLAG, None, "enable the engine `local`", default_says="true where `ENGINE` is `local`, else false"),
        Variable("LOCAL_ENGINE_IMAGES", LOCAL_IMAGES, {}, "image pattern → the program that runs in its place; used before the shipped ones"),
        Variable("LOCAL_ENGINE_GATEWAYS", forms.HOST_PORTS, [], "further addresses that pods may reach"),
        Variable("LOCAL_ENGINE_HOST_PATHS", forms.PATHS, [], "folders below which the `system_path` of any data partner may lie, beside those of `DATA_PARTNER_PATHS`"),
        Variable("LOCAL_ENGINE_READABLE_PATHS", forms.PATHS, [], "paths of the host that all pods may read, beside its programs"),
        Variable("LOCAL_ENGINE_MAX_PROCESSES", whole(32), 1024, "processes, threads included, that one container may have"),
        Variable("LOCAL_ENGINE_WRITABLE_HOST_PATHS", forms.PATHS, [], "the folders of `LOCAL_ENGINE_HOST_PATHS` that pods may also write to"),
        Variable("LOCAL_ENGINE_RUN_DISK", quantity(1 << 20), "20Gi", "the disk space that one run may use, with its logs and artifacts"),
        Variable("LOCAL_ENGINE_DISK_RESERVE", quantity(0), "", "the disk space that all runs together leave free on the disk of `DATA_DIR`; `0` for none", default_says="a twentieth of the disk, from 1 to 10 GiB"),
        Variable("LOCAL_ENGINE_LOG_SIZE", quantity(64 << 10), "100Mi", "how much of a container's stdout, and of its stderr, is kept"),
        Variable("LOCAL_ENGINE_MAX_PODS", whole(0, 100_000), 0, "the pods of all Workflows that run at once", default_says="0: 8 for each core, at least 32"),
        Variable("ARGO_KUBECONFIG", forms.KUBECONFIG, "", "the cluster of the engine `argo`", default_says="empty: the pod's service account, else what `KUBECONFIG` names"),
        Variable("ARGO_CONTEXT", text("a context of that file"), "", "the context in the file"),
        Variable("ARGO_NAMESPACE", forms.NAMESPACE, "", "the namespace in which its Workflows run", "ARGO_WORKFLOWS_NAMESPACE", default_says="`argo`"),
        Variable("ARGO_WORKFLOWS_API_HOST", text("any address"), "", "Argo's own server", notice="it is not needed: the service uses the API of Kubernetes and Argo's controller"),
        Variable("ARGO_PRIVILEGED_NAMESPACE", forms.NAMESPACE, "", "the namespace of Workflows whose pods need hostPath volumes, the network of their cluster node, or root. If it is `ARGO_NAMESPACE`, all Workflows run there without restrictions of their pods", default_says="empty: such Workflows are refused"),
        Variable("ARGO_ROOT_IMAGES", forms.names("patterns of images, such as `my-engine:*`"), [], "images that run as root: their Workflows run in `ARGO_PRIVILEGED_NAMESPACE`"),
        Variable("ARGO_SERVICE_ACCOUNT", forms.OBJECT, "", "the service account of Workflows whose manifest names none", default_says="empty: the namespace's default"),
        Variable("ARGO_EXECUTOR_SERVICE_ACCOUNT", forms.OBJECT, "", "the service account of Argo's own containers in each pod; only these containers then have a token. Argo finds it in the Secret `NAME.service-account-token`", default_says="empty: every container has the token of the Workflow's service account"),
        Variable("ARGO_INSTANCE_ID", forms.INSTANCE, "", "the instance id of the Argo controller that runs the Workflows; two orchestrators can share a namespace only with different ids"),
        Variable("ARGO_REQUESTS_PER_SECOND", number(), 20.0, "the most requests of one process to the API server, on average"),
        Variable("ARGO_BURST", whole(), 40, "the most of these requests at once"),
        Variable("ARGO_TIMEOUT_SECONDS", number(), 15.0, "how long a connection to the API server, and each wait for an answer, may take"),
    ),
)  # fmt: skip
FEDERATED = Section(
    "Federated training",
    (
        Variable("FEDERATED_ADAPTER", one_of(("database", "kafka")), "database", "how the messages of new federated trainings travel: `database` (this service, over its API) or `kafka`", "COMMUNICATION_ADAPTER", default_says="`database`; `kafka` where `KAFKA_BOOTSTRAP_SERVERS` is set"),
        Variable("FEDERATED_MAX_MODEL_KILOBYTES", whole(), 51200, "the largest zip of a model, in kilobytes of 1024 bytes, unless the execution or the Schema declares another", "KAFKA_MAX_MODEL_SIZE"),
        Variable("FEDERATED_ITERATION_SECONDS", seconds(), 86400, "how long a round may take for managers that take their variables from the ConfigMaps `federated-learning-manager-client` and `-server`"),
        Variable("FEDERATED_INITIALIZATION_SECONDS", seconds(), None, "how long server and clients wait for each other to start", default_says="`EXECUTION_PENDING_DEADLINE_SECONDS`"),
        Variable("FEDERATED_WAITING_REQUESTS", whole(0), 1000, "the most long polls that one API process holds at once; they take no thread"),
        Variable("FEDERATED_KAFKA_BOOTSTRAP_SERVERS", forms.HOST_PORTS, "", "the brokers' addresses for this service", "KAFKA_BOOTSTRAP_SERVERS", default_says=EMPTY),
        Variable("FEDERATED_KAFKA_WORKFLOW_BOOTSTRAP_SERVERS", forms.HOST_PORTS, "", "the brokers' addresses for Workflows", default_says="the same"),
        Variable("FEDERATED_KAFKA_SECURITY_PROTOCOL", one_of(("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")), "PLAINTEXT", "the protocol for this service and for Workflows"),
        Variable("FEDERATED_KAFKA_CA_FILE", forms.CERTIFICATE_FILE, "", "certificates to trust (PEM); Workflows get their text", default_says="the system's"),
        Variable("FEDERATED_KAFKA_CA", Form("the text of certificates (PEM)", str, is_secret=True), "", "the same certificates, as text", default_says="the system's"),
        Variable("FEDERATED_KAFKA_SASL_MECHANISM", one_of(("SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN")), "SCRAM-SHA-512", "the SASL mechanism by which users log in"),
        Variable("FEDERATED_KAFKA_USERNAME", text(), "", "the user as which this service logs in to the brokers"),
        Variable("FEDERATED_KAFKA_PASSWORD", SECRET, "", "the password of this user"),
        Variable("FEDERATED_KAFKA_WORKFLOW_USERNAME", text(), "", "the user as which all Workflows log in", default_says="empty: a SCRAM user for each channel"),
        Variable("FEDERATED_KAFKA_WORKFLOW_PASSWORD", SECRET, "", "the password of the Workflows' user"),
        Variable("FEDERATED_KAFKA_REPLICATION_FACTOR", forms.REPLICAS, -1, "the replication factor of topics", default_says="-1: the brokers' default"),
        Variable("FEDERATED_KAFKA_TIMEOUT_SECONDS", number(), 15.0, "how long a connection to a broker, and each answer, may take"),
        Variable("FEDERATED_CLAIM_CHECK", FLAG, False, "with Kafka: models go into this service's storage, and topics carry references to them"),
    ),
)  # fmt: skip
SECTIONS = (SERVICE, REGISTRY, PARTNERS, WORKFLOWS, ENGINES, FEDERATED)


def variables() -> Iterator[Variable]:
    """Yield every variable, in the order of the page."""
    for section in SECTIONS:
        yield from section.variables


BY_NAME = {variable.name: variable for variable in variables()}
# By the names of other installations.
BY_FIELD_NAME = {variable.field_name: variable for variable in variables() if variable.field_name}
