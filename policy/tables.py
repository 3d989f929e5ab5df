"""The table: every field that a Workflow may have, and what it may hold.

Fields are those of https://argo-workflows.readthedocs.io/en/latest/fields/ and of
https://kubernetes.io/docs/reference/generated/kubernetes-api/, as far as manifests need them. Any other field is
refused; an operator adds fields with MANIFEST_ALLOWED_FIELDS.
"""

from __future__ import annotations

from typing import Any

from policy.forms import (
    COUNT,
    DNS_LABEL,
    DNS_NAME,
    FIELD_NAME,
    FLAG,
    KEY,
    LOOSE_NAME,
    PARAMETER_NAME,
    SCALAR,
    TEXT,
    Check,
    Form,
    Items,
    ListOf,
    MapOf,
    Number,
    Only,
    Table,
)
from policy.guarded import (
    ABSOLUTE_PATH,
    RELATIVE_PATH,
    ClaimTemplates,
    HostNetwork,
    HttpArtifact,
    NodeSelector,
    NodeTerms,
    ServiceAccount,
    StoreEndpoint,
    StoreSecretName,
)
from policy.host_paths import check_spec, check_template
from policy.mounts import check_mounts
from policy.patches import Patch
from policy.pod_tables import (
    BESIDE,
    CONFIG_MAP_KEY,
    CONTAINER,
    CONTAINER_FIELDS,
    METADATA,
    MOUNTING_FIELDS,
    POD_METADATA,
    POD_SECURITY_CONTEXT,
    RESOURCES,
    VOLUME_MOUNT,
    VOLUMES,
)

_OUTSIDE = ("no-outside-templates", "leads out of this manifest")
_HOST = ("no-host-namespaces", "asks for a namespace of the host")

# Where a pod may run

_EXPRESSIONS = Table({"matchExpressions": NodeTerms()})
AFFINITY = Table(
    {
        "nodeAffinity": Table(
            {
                "requiredDuringSchedulingIgnoredDuringExecution": Table({"nodeSelectorTerms": ListOf(_EXPRESSIONS)}),
                "preferredDuringSchedulingIgnoredDuringExecution": ListOf(
                    Table({"weight": Number(1), "preference": _EXPRESSIONS})
                ),
            }
        )
    }
)

# Parameters and artifacts

PARAMETER = Table(
    {
        "name": PARAMETER_NAME,
        "value": SCALAR,
        "default": SCALAR,
        "enum": ListOf(SCALAR),
        "description": TEXT,
        "globalName": LOOSE_NAME,
        "valueFrom": Table(
            {
                "path": ABSOLUTE_PATH,
                "parameter": TEXT,
                "expression": TEXT,
                "configMapKeyRef": CONFIG_MAP_KEY,
                "default": SCALAR,
                "supplied": Table({}),
            }
        ),
    }
)
_KEY_OF_STORE = Table({"name": StoreSecretName(), "key": KEY, "optional": FLAG})
ARTIFACT = Table(
    {
        "name": PARAMETER_NAME,
        "path": ABSOLUTE_PATH,
        "from": TEXT,
        "fromExpression": TEXT,
        "subPath": RELATIVE_PATH,
        "optional": FLAG,
        "globalName": LOOSE_NAME,
        "mode": Number(),
        "recurseMode": FLAG,
        "archive": Table({"none": Table({}), "tar": Table({"compressionLevel": Number()}), "zip": Table({})}),
        "raw": Table({"data": TEXT}),
        "http": HttpArtifact(),
        "s3": Table(
            {
                "key": TEXT,
                "bucket": DNS_NAME,
                "region": DNS_LABEL,
                "endpoint": StoreEndpoint(),
                "insecure": Only(False),
                "accessKeySecret": _KEY_OF_STORE,
                "secretKeySecret": _KEY_OF_STORE,
            }
        ),
        "azure": Table(
            {
                "blob": TEXT,
                "container": DNS_LABEL,
                "endpoint": StoreEndpoint(),
                "accountKeySecret": _KEY_OF_STORE,
            }
        ),
    },
    dict.fromkeys(
        ["git", "gcs", "oss", "hdfs", "artifactory", "plugin"],
        ("artifact-stores", "is not an allowed store; artifacts come from s3, azure, raw texts or other steps"),
    ),
)
_PARAMETERS = {"parameters": ListOf(PARAMETER, unique="name"), "artifacts": ListOf(ARTIFACT, unique="name")}
ARGUMENTS = Table(_PARAMETERS)

# Steps and tasks

_HOOKS = MapOf(Table({"template": FIELD_NAME, "arguments": ARGUMENTS, "expression": TEXT}, {"templateRef": _OUTSIDE}))
_CALL: dict[str, Form] = {
    "name": FIELD_NAME,
    "template": FIELD_NAME,
    "arguments": ARGUMENTS,
    "when": TEXT,
    "withItems": Items(),
    "withParam": TEXT,
    "withSequence": Table({"count": COUNT, "start": COUNT, "end": COUNT, "format": TEXT}),
    "continueOn": Table({"failed": FLAG, "error": FLAG}),
    "onExit": FIELD_NAME,
    "hooks": _HOOKS,
}
STEP = Table(_CALL, {"templateRef": _OUTSIDE})
TASK = Table({**_CALL, "depends": TEXT, "dependencies": ListOf(FIELD_NAME)}, {"templateRef": _OUTSIDE})
RETRY = Table(
    {
        "limit": COUNT,
        "retryPolicy": Only("Always", "OnFailure", "OnError", "OnTransientError"),
        "expression": TEXT,
        "backoff": Table({"duration": COUNT, "factor": COUNT, "maxDuration": COUNT, "cap": COUNT}),
        "affinity": Table({"nodeAntiAffinity": Table({})}),
    }
)
_MUTEX = Table({"name": LOOSE_NAME})
_SEMAPHORE = Table({"configMapKeyRef": CONFIG_MAP_KEY})
SYNCHRONIZATION = Table(
    {
        "mutex": _MUTEX,
        "mutexes": ListOf(_MUTEX),
        "semaphore": _SEMAPHORE,
        "semaphores": ListOf(_SEMAPHORE),
    }
)
# Every Workflow that names a cache reads and writes it, as with a ConfigMap.
MEMOIZE = Table({"key": TEXT, "maxAge": COUNT, "cache": Table({"configMap": CONFIG_MAP_KEY})})
METRICS = Table(
    {
        "prometheus": ListOf(
            Table(
                {
                    "name": PARAMETER_NAME,
                    "help": TEXT,
                    "when": TEXT,
                    "labels": ListOf(Table({"key": PARAMETER_NAME, "value": TEXT})),
                    "counter": Table({"value": SCALAR}),
                    "gauge": Table({"value": SCALAR, "realtime": FLAG, "operation": Only("Set", "Add", "Sub")}),
                    "histogram": Table({"value": SCALAR, "buckets": ListOf(SCALAR)}),
                }
            )
        )
    }
)

# Templates

_PATCH = Patch()
_POD: dict[str, Form] = {
    "nodeSelector": NodeSelector(),
    "affinity": AFFINITY,
    "podSpecPatch": _PATCH,
    "securityContext": POD_SECURITY_CONTEXT,
    "serviceAccountName": ServiceAccount(),
    "automountServiceAccountToken": FLAG,
    "executor": Table({"serviceAccountName": ServiceAccount()}),
    "volumes": VOLUMES,
    "activeDeadlineSeconds": COUNT,
    "parallelism": Number(),
    "retryStrategy": RETRY,
    "synchronization": SYNCHRONIZATION,
    "metrics": METRICS,
    "podResources": RESOURCES,
}
_DEFAULTS: dict[str, Form] = {**_POD, "metadata": POD_METADATA, "timeout": COUNT, "failFast": FLAG}


class Template(Table):
    """A template; its texts may refer to its own inputs."""

    def check(self, value: Any, at: str, check: Check) -> None:
        outer, check.template = check.template, at
        try:
            super().check(value, at, check)
            if isinstance(value, dict):
                check_template(value, at, check)
                check_mounts(value, at, check)
        finally:
            check.template = outer


_NOT_RUN = {
    "resource": ("no-resource-templates", "a resource template changes objects of the cluster"),
    "http": ("template-kinds", "a template of the kind http is not supported"),
    "data": ("template-kinds", "a template of the kind data is not supported"),
    "plugin": ("template-kinds", "a template of the kind plugin is not supported"),
}
TEMPLATE_DEFAULTS = Template(_DEFAULTS, _NOT_RUN)
_NAMELESS = Template(
    {
        **_DEFAULTS,
        "inputs": Table(_PARAMETERS),
        "outputs": Table(_PARAMETERS),
        "daemon": FLAG,
        "memoize": MEMOIZE,
        "container": CONTAINER,
        "script": Table({**MOUNTING_FIELDS, "source": TEXT}),
        "containerSet": Table(
            {
                "containers": ListOf(Table({**MOUNTING_FIELDS, "dependencies": ListOf(DNS_LABEL)}), unique="name"),
                "volumeMounts": ListOf(VOLUME_MOUNT),
                "retryStrategy": Table({"duration": COUNT, "retries": COUNT}),
            }
        ),
        "initContainers": BESIDE,
        "sidecars": BESIDE,
        "steps": ListOf(ListOf(STEP, unique="name")),
        "dag": Table({"tasks": ListOf(TASK, unique="name"), "target": TEXT, "failFast": FLAG}),
        "suspend": Table({"duration": COUNT}),
    },
    _NOT_RUN,
)
for _call in (STEP, TASK):
    _call.fields["inline"] = _NAMELESS
# An inline template may have a name too; Argo ignores it.
_NAMELESS.fields["name"] = FIELD_NAME

# The whole Workflow

_HOST_NAMESPACES = {"hostPID": ("no-host-pid", _HOST[1]), "hostIPC": ("no-host-ipc", _HOST[1])}


class Spec(Table):
    def check(self, value: Any, at: str, check: Check) -> None:
        super().check(value, at, check)
        if isinstance(value, dict):
            check_spec(value, check)


SPEC = Spec(
    {
        **_POD,
        "entrypoint": FIELD_NAME,
        "onExit": FIELD_NAME,
        "arguments": ARGUMENTS,
        "templates": ListOf(_NAMELESS),
        "templateDefaults": TEMPLATE_DEFAULTS,
        "hooks": _HOOKS,
        "volumeClaimTemplates": ClaimTemplates(),
        "volumeClaimGC": Table({"strategy": Only("OnWorkflowCompletion", "OnWorkflowSuccess")}),
        # Only the kubelet reads them: they reach no pod, and images are restricted by their own list.
        "imagePullSecrets": ListOf(Table({"name": DNS_NAME})),
        "hostNetwork": HostNetwork(),
        "dnsPolicy": Only("ClusterFirst", "ClusterFirstWithHostNet"),
        "ttlStrategy": Table(
            dict.fromkeys(("secondsAfterCompletion", "secondsAfterSuccess", "secondsAfterFailure"), Number())
        ),
        "podGC": Table(
            {
                "strategy": Only("OnPodCompletion", "OnPodSuccess", "OnWorkflowCompletion", "OnWorkflowSuccess"),
                "deleteDelayDuration": COUNT,
            }
        ),
    },
    {"workflowTemplateRef": _OUTSIDE, **_HOST_NAMESPACES},
)
WORKFLOW = Table(
    {
        "apiVersion": Only("argoproj.io/v1alpha1"),
        "kind": Only("Workflow"),
        "metadata": METADATA,
        "spec": SPEC,
    }
)

# A patch changes existing containers only; the template says where the pod runs and what it mounts.
_PATCHED = ListOf(Table(CONTAINER_FIELDS), unique="name")
POD_PATCH = Table(
    {
        "containers": _PATCHED,
        "initContainers": _PATCHED,
        "securityContext": POD_SECURITY_CONTEXT,
        "serviceAccountName": ServiceAccount(),
        "hostNetwork": HostNetwork(),
        "dnsPolicy": Only("ClusterFirst", "ClusterFirstWithHostNet"),
        "activeDeadlineSeconds": Number(1),
        "terminationGracePeriodSeconds": Number(1),
    },
    {
        "serviceAccount": ("service-accounts", "is the old name of serviceAccountName"),
        "volumes": ("host-path", "a patch may not add a volume"),
        **_HOST_NAMESPACES,
    },
)
_PATCH.table = POD_PATCH
