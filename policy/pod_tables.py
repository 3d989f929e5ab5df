"""The part of the table for pods: their metadata, identity, volumes and containers."""

from __future__ import annotations

from typing import Any

from policy.forms import (
    COUNT,
    DNS_LABEL,
    DNS_NAME,
    FLAG,
    KEY,
    PREFIX,
    QUANTITY,
    TEXT,
    TEXTS,
    VALUES,
    VARIABLE,
    Check,
    Form,
    ListOf,
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
    Image,
    Labels,
    Namespace,
    SecretName,
)

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
# Only plain words as labels: NetworkPolicies select pods by labels.
POD_METADATA = Table({"labels": Labels(), "annotations": Annotations()})

# Identity and rights of a container

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

# Values that a container reads from ConfigMaps and Secrets

_CONFIG_MAP, _SECRET = ConfigMapName(), SecretName()
CONFIG_MAP_KEY = Table({"name": _CONFIG_MAP, "key": KEY, "optional": FLAG})
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
                "configMapKeyRef": CONFIG_MAP_KEY,
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
    """A volume; it has exactly one kind."""

    def check(self, value: Any, at: str, check: Check) -> None:
        super().check(value, at, check)
        if (
            isinstance(value, dict)
            and len([key for key, item in value.items() if item is not None and key != "name"]) != 1
        ):
            check.refuse(at, VALUES, "must have exactly one kind of volume")


_VOLUME_RULE = (
    "volume-kinds",
    "must be an emptyDir, a configMap, a secret, a data partner's hostPath or a listed claim",
)
_OTHER_KINDS = (
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
        # check_template checks the path.
        "hostPath": Table({"path": TEXT, "type": Only("", "Directory")}),
        "persistentVolumeClaim": Table({"claimName": ClaimName(), "readOnly": FLAG}),
    },
    dict.fromkeys(_OTHER_KINDS.split(), _VOLUME_RULE),
)
VOLUMES = ListOf(VOLUME, unique="name")

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
        # The kubelet would send the probe to any other host.
        "httpGet": Table({"path": TEXT, "port": COUNT, "scheme": Only("HTTP", "HTTPS")}),
        "tcpSocket": Table({"port": COUNT}),
    }
)
_AMOUNTS = Table(dict.fromkeys(_RESOURCES, QUANTITY))
RESOURCES = Table({"requests": _AMOUNTS, "limits": _AMOUNTS})
CONTAINER_FIELDS: dict[str, Form] = {
    "name": DNS_LABEL,
    "image": Image(),
    "imagePullPolicy": Only("Always", "IfNotPresent", "Never"),
    "command": TEXTS,
    "args": TEXTS,
    "workingDir": ABSOLUTE_PATH,
    "env": ListOf(ENV),
    "envFrom": ListOf(ENV_FROM),
    "ports": ListOf(_PORT),
    "resources": RESOURCES,
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
MOUNTING_FIELDS = {**CONTAINER_FIELDS, "volumeMounts": ListOf(VOLUME_MOUNT)}
CONTAINER = Table(MOUNTING_FIELDS)
BESIDE = ListOf(Table({**MOUNTING_FIELDS, "mirrorVolumeMounts": FLAG}), unique="name")
