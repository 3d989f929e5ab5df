"""The table: every field that a Workflow may have, and what it may hold.

Fields are those of https://argo-workflows.readthedocs.io/en/latest/fields/ and of
https://kubernetes.io/docs/reference/generated/kubernetes-api/, of which manifests need these. What is not here is
refused; an operator adds to it by MANIFEST_ALLOWED_FIELDS.
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
    PREFIX,
    QUANTITY,
    SCALAR,
    TEXT,
    TEXTS,
    VALUES,
    VARIABLE,
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
    Annotations,
    ClaimName,
    ConfigMapName,
    HostNetwork,
    Image,
    Labels,
    Namespace,
    NodeSelector,
    NodeTerms,
    Patch,
    SecretName,
    ServiceAccount,
    StoreEndpoint,
    StoreSecretName,
)
from policy.host_paths import check_spec, check_template

_OUTSIDE = ("no-outside-templates", "leads out of this manifest")
_HOST = ("no-host-namespaces", "asks for what belongs to the host")

# Metadata

_RECOMMENDED = [f"app.kubernetes.io/{word}" for word in ("name", "instance", "version", "component", "part-of")]
_TITLES = [f"workflows.argoproj.io/{word}" for word in ("title", "description")]
METADATA = Table(
    {
        "name": DNS_NAME,
        "generateName": PREFIX,
        "namespace": Namespace(),
        "labels": Labels(*_RECOMMENDED),
        "annotations": Annotations(*_TITLES),
    }
)
# No labels but plain words: NetworkPolicies choose pods by theirs.
POD_METADATA = Table({"labels": Labels(), "annotations": Annotations()})

# Who a container is, and what it may do

_NOT_ROOT = Number(1, rule="no-root")
_PROFILE = {
    "type": Only("RuntimeDefault", rule="no-unconfined-containers", words="the profile must be RuntimeDefault"),
}
_IDENTITY = {
    "runAsUser": _NOT_ROOT,
    "runAsGroup": _NOT_ROOT,
    "runAsNonRoot": Only(True, rule="no-root"),
    "seccompProfile": Table(_PROFILE),
    "appArmorProfile": Table(_PROFILE),
}
_WINDOWS = {"windowsOptions": ("no-privileged-containers", "asks for a host process container")}
SECURITY_CONTEXT = Table(
    {
        **_IDENTITY,
        "privileged": Only(False, rule="no-privileged-containers", words="asks for a privileged container"),
        "allowPrivilegeEscalation": Only(
            False, rule="no-privilege-escalation", words="asks for allowPrivilegeEscalation"
        ),
        "readOnlyRootFilesystem": FLAG,
        "procMount": Only("Default", rule="no-unmasked-proc"),
        "capabilities": Table(
            {"drop": TEXTS, "add": Only([], rule="no-added-capabilities", words="asks for added capabilities")}
        ),
    },
    _WINDOWS,
)
POD_SECURITY_CONTEXT = Table(
    {
        **_IDENTITY,
        "fsGroup": _NOT_ROOT,
        "fsGroupChangePolicy": Only("OnRootMismatch", "Always"),
        "supplementalGroups": ListOf(_NOT_ROOT),
    },
    _WINDOWS,
)

# What a container reads from elsewhere

_CONFIG_MAP, _SECRET = ConfigMapName(), SecretName()
_FIELD_REF = Table(
    {
        "apiVersion": Only("v1"),
        "fieldPath": Only(
            "metadata.name",
            "metadata.namespace",
            "metadata.uid",
            "spec.nodeName",
            "spec.serviceAccountName",
            "status.podIP",
            "status.hostIP",
        ),
    }
)
_RESOURCES = ("cpu", "memory", "ephemeral-storage")
ENV = Table(
    {
        "name": VARIABLE,
        "value": TEXT,
        "valueFrom": Table(
            {
                "secretKeyRef": Table({"name": _SECRET, "key": KEY, "optional": FLAG}),
                "configMapKeyRef": Table({"name": _CONFIG_MAP, "key": KEY, "optional": FLAG}),
                "fieldRef": _FIELD_REF,
                "resourceFieldRef": Table(
                    {
                        "containerName": DNS_LABEL,
                        "resource": Only(*(f"{kind}.{name}" for kind in ("limits", "requests") for name in _RESOURCES)),
                        "divisor": QUANTITY,
                    }
                ),
            }
        ),
    }
)
ENV_FROM = Table(
    {
        "prefix": VARIABLE,
        "configMapRef": Table({"name": _CONFIG_MAP, "optional": FLAG}),
        "secretRef": Table({"name": _SECRET, "optional": FLAG}),
    }
)
VOLUME_MOUNT = Table(
    {
        "name": DNS_LABEL,
        "mountPath": ABSOLUTE_PATH,
        "subPath": RELATIVE_PATH,
        "readOnly": FLAG,
        "mountPropagation": Only("None"),
        "recursiveReadOnly": Only("Disabled", "IfPossible", "Enabled"),
    }
)
_ITEMS = ListOf(Table({"key": KEY, "path": RELATIVE_PATH, "mode": Number()}))
_SOURCE = {"items": _ITEMS, "optional": FLAG, "defaultMode": Number()}


class Volume(Table):
    """A volume of exactly one kind."""

    def check(self, value: Any, at: str, check: Check) -> None:
        super().check(value, at, check)
        if (
            isinstance(value, dict)
            and len([key for key, item in value.items() if item is not None and key != "name"]) != 1
        ):
            check.refuse(at, VALUES, "a volume is of exactly one kind")


_VOLUME_RULE = (
    "volume-kinds",
    "a volume is an emptyDir, a configMap, a secret, a data partner's hostPath or a listed claim",
)
_OTHER_VOLUMES = (
    "awsElasticBlockStore azureDisk azureFile cephfs cinder csi downwardAPI ephemeral fc flexVolume flocker "
    "gcePersistentDisk gitRepo glusterfs image iscsi nfs photonPersistentDisk portworxVolume projected quobyte rbd "
    "scaleIO storageos vsphereVolume"
)
VOLUME = Volume(
    {
        "name": DNS_LABEL,
        "emptyDir": Table({"medium": Only("", "Memory"), "sizeLimit": QUANTITY}),
        "configMap": Table({"name": _CONFIG_MAP, **_SOURCE}),
        "secret": Table({"secretName": _SECRET, **_SOURCE}),
        # What path, check_template says.
        "hostPath": Table({"path": TEXT, "type": Only("", "Directory")}),
        "persistentVolumeClaim": Table({"claimName": ClaimName(), "readOnly": FLAG}),
    },
    dict.fromkeys(_OTHER_VOLUMES.split(), _VOLUME_RULE),
)
_VOLUMES = ListOf(VOLUME, unique="name")

# Containers

_PORT = Table({"name": DNS_LABEL, "containerPort": Number(1), "protocol": Only("TCP", "UDP")})
_COMMAND = Table({"command": TEXTS})
PROBE = Table(
    {
        **dict.fromkeys(
            ("initialDelaySeconds", "periodSeconds", "timeoutSeconds", "successThreshold", "failureThreshold"), Number()
        ),
        "terminationGracePeriodSeconds": Number(1),
        "exec": _COMMAND,
        # Of the pod itself: another host would be asked by the node.
        "httpGet": Table({"path": TEXT, "port": COUNT, "scheme": Only("HTTP", "HTTPS")}),
        "tcpSocket": Table({"port": COUNT}),
    }
)
_AMOUNTS = Table(dict.fromkeys(_RESOURCES, QUANTITY))
_CONTAINER: dict[str, Form] = {
    "name": DNS_LABEL,
    "image": Image(),
    "imagePullPolicy": Only("Always", "IfNotPresent", "Never"),
    "command": TEXTS,
    "args": TEXTS,
    "workingDir": ABSOLUTE_PATH,
    "env": ListOf(ENV),
    "envFrom": ListOf(ENV_FROM),
    "ports": ListOf(_PORT),
    "resources": Table({"requests": _AMOUNTS, "limits": _AMOUNTS}),
    "securityContext": SECURITY_CONTEXT,
    "livenessProbe": PROBE,
    "readinessProbe": PROBE,
    "startupProbe": PROBE,
    "terminationMessagePath": ABSOLUTE_PATH,
    "terminationMessagePolicy": Only("File", "FallbackToLogsOnError"),
    "stdin": FLAG,
    "stdinOnce": FLAG,
    "tty": FLAG,
}
_MOUNTING = {**_CONTAINER, "volumeMounts": ListOf(VOLUME_MOUNT)}
CONTAINER = Table(_MOUNTING)
_BESIDE = ListOf(Table({**_MOUNTING, "mirrorVolumeMounts": FLAG}), unique="name")

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
        "valueFrom": Table({"path": ABSOLUTE_PATH, "parameter": TEXT, "default": SCALAR, "supplied": Table({})}),
    }
)
_KEY_OF_STORE = Table({"name": StoreSecretName(), "key": KEY, "optional": FLAG})
ARTIFACT = Table(
    {
        "name": PARAMETER_NAME,
        "path": ABSOLUTE_PATH,
        "from": TEXT,
        "subPath": RELATIVE_PATH,
        "optional": FLAG,
        "globalName": LOOSE_NAME,
        "mode": Number(),
        "recurseMode": FLAG,
        "archive": Table({"none": Table({}), "tar": Table({"compressionLevel": Number()}), "zip": Table({})}),
        "raw": Table({"data": TEXT}),
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
        ["git", "http", "gcs", "oss", "hdfs", "artifactory", "plugin"],
        ("artifact-stores", "artifacts come from s3, azure, raw texts or other steps"),
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
SYNCHRONIZATION = Table({"mutex": _MUTEX, "mutexes": ListOf(_MUTEX)})
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
    "volumes": _VOLUMES,
    "activeDeadlineSeconds": COUNT,
    "parallelism": Number(),
    "retryStrategy": RETRY,
    "synchronization": SYNCHRONIZATION,
    "metrics": METRICS,
}
_DEFAULTS: dict[str, Form] = {**_POD, "metadata": POD_METADATA, "timeout": COUNT, "failFast": FLAG}


class Template(Table):
    """A template, whose texts see its own inputs."""

    def check(self, value: Any, at: str, check: Check) -> None:
        outer, check.template = check.template, at
        try:
            super().check(value, at, check)
            if isinstance(value, dict):
                check_template(value, at, check)
        finally:
            check.template = outer


_NOT_RUN = {
    "resource": ("no-resource-templates", "a resource template changes the cluster itself"),
    "http": ("template-kinds", "a template that calls addresses for Argo is not run here"),
    "data": ("template-kinds", "a template that reads stores for Argo is not run here"),
    "plugin": ("template-kinds", "a template for a plugin of Argo's is not run here"),
}
TEMPLATE_DEFAULTS = Template(_DEFAULTS, _NOT_RUN)
_NAMELESS = Template(
    {
        **_DEFAULTS,
        "inputs": Table(_PARAMETERS),
        "outputs": Table(_PARAMETERS),
        "daemon": FLAG,
        "container": CONTAINER,
        "script": Table({**_MOUNTING, "source": TEXT}),
        "containerSet": Table(
            {
                "containers": ListOf(Table({**_MOUNTING, "dependencies": ListOf(DNS_LABEL)}), unique="name"),
                "volumeMounts": ListOf(VOLUME_MOUNT),
                "retryStrategy": Table({"duration": COUNT, "retries": COUNT}),
            }
        ),
        "initContainers": _BESIDE,
        "sidecars": _BESIDE,
        "steps": ListOf(ListOf(STEP, unique="name")),
        "dag": Table({"tasks": ListOf(TASK, unique="name"), "target": TEXT, "failFast": FLAG}),
        "suspend": Table({"duration": COUNT}),
    },
    _NOT_RUN,
)
for _call in (STEP, TASK):
    _call.fields["inline"] = _NAMELESS
# A name may also stand in one that is inline; Argo heeds it nowhere.
_NAMELESS.fields["name"] = FIELD_NAME

# The whole

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
        # Read by the node's own agent alone: what is in them reaches no pod, and images are held to their list.
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

# A patch changes containers that are there; where its pod runs and what it mounts, the template says.
_PATCHED = ListOf(Table(_CONTAINER), unique="name")
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
