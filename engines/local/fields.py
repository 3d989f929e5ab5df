"""The fields of a Workflow that the local engine supports or may ignore. Any other field is refused.

A field's value is the name of the kind of object it holds, `[kind]` for a list of them, `[[kind]]` for a list of
lists, `{*}` for an object of any fields, `text` for a string, `{}` for anything; `hooks` are hooks by name. Source:
https://argo-workflows.readthedocs.io/en/latest/fields/.
"""

from __future__ import annotations

ANYTHING, OBJECT, TEXT = "{}", "{*}", "text"
LIST, TEXTS = f"[{ANYTHING}]", f"[{TEXT}]"


def _plain(names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), ANYTHING)


def _texts(names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), TEXT)


_CONTAINER = {
    **_plain(
        "imagePullPolicy ports securityContext "
        "livenessProbe startupProbe terminationMessagePath terminationMessagePolicy stdin stdinOnce tty"
    ),
    **_texts("name image workingDir"),
    "command": LIST,
    "args": LIST,
    "resources": "resources",
    "env": "[env]",
    "envFrom": "[envFrom]",
    "volumeMounts": "[volumeMount]",
    "readinessProbe": "probe",
}
_LOOP = {"withItems": LIST, "withParam": TEXT, "withSequence": "sequence"}
_CALL = {
    **_texts("name template when"),
    **_LOOP,
    "arguments": "arguments",
    "continueOn": "continueOn",
    "inline": "template",
    "onExit": ANYTHING,
    "hooks": "hooks",
}
_KEY_REF = {**_texts("name key"), "optional": ANYTHING}
_STORES = dict.fromkeys(("s3", "azure", "gcs", "oss", "hdfs", "artifactory"), OBJECT)

KINDS: dict[str, dict[str, str]] = {
    "workflow": _plain("apiVersion kind status") | {"metadata": OBJECT, "spec": "spec"},
    "spec": {
        **_plain(
            "serviceAccountName automountServiceAccountToken imagePullSecrets hostNetwork "
            "dnsPolicy dnsConfig ttlStrategy podGC podMetadata tolerations priority podPriorityClassName "
            "schedulerName securityContext activeDeadlineSeconds parallelism workflowMetadata archiveLogs "
            "artifactRepositoryRef artifactGC volumeClaimGC podDisruptionBudget executor metrics"
        ),
        **_texts("entrypoint onExit"),
        "nodeSelector": OBJECT,
        "affinity": "affinity",
        "arguments": "arguments",
        "templates": "[template]",
        "templateDefaults": "template",
        "volumes": "[volume]",
        "volumeClaimTemplates": "[claimTemplate]",
        "podSpecPatch": ANYTHING,
        "podResources": "podResources",
        "synchronization": "synchronization",
        "hooks": "hooks",
    },
    # Made as a folder that is deleted with the Workflow, whatever class and size is requested.
    "claimTemplate": {**_plain("apiVersion kind spec status"), "metadata": "claimMetadata"},
    "claimMetadata": _plain("name labels annotations creationTimestamp"),
    "hook": {**_plain("template expression"), "arguments": "arguments"},
    "arguments": {"parameters": "[parameter]", "artifacts": "[artifact]"},
    "parameter": {
        **_texts("name globalName"),
        **_plain("value default description"),
        "enum": LIST,
        "valueFrom": "valueFrom",
    },
    "valueFrom": {
        **_texts("path parameter expression"),
        **_plain("default supplied"),
        "configMapKeyRef": "keyRef",
    },
    "artifact": {
        **_texts("name path from fromExpression subPath globalName"),
        **_plain("optional mode archiveLogs deleted artifactGC description"),
        "raw": OBJECT,
        "archive": OBJECT,
        **_STORES,
        "http": "http",
    },
    "http": {"url": ANYTHING, "headers": "[header]"},
    "header": _plain("name value"),
    "inputs": {"parameters": "[parameter]", "artifacts": "[artifact]"},
    "outputs": {"parameters": "[parameter]", "artifacts": "[artifact]", **_plain("exitCode result")},
    "template": {
        **_plain(
            "name metadata podSpecPatch activeDeadlineSeconds timeout parallelism failFast daemon "
            "serviceAccountName automountServiceAccountToken securityContext tolerations priority "
            "priorityClassName schedulerName archiveLocation metrics executor annotations"
        ),
        "nodeSelector": OBJECT,
        "inputs": "inputs",
        "outputs": "outputs",
        "container": "container",
        "script": "script",
        "containerSet": "containerSet",
        "steps": "[[step]]",
        "dag": "dag",
        "suspend": "suspend",
        "initContainers": "[userContainer]",
        "sidecars": "[userContainer]",
        "volumes": "[volume]",
        "retryStrategy": "retryStrategy",
        "memoize": "memoize",
        "podResources": "podResources",
        "synchronization": "synchronization",
        "affinity": "affinity",
    },
    "affinity": {"nodeAffinity": "nodeAffinity"},
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": "nodeTerms",
        "preferredDuringSchedulingIgnoredDuringExecution": "[preferredTerm]",
    },
    "nodeTerms": {"nodeSelectorTerms": "[nodeTerm]"},
    "preferredTerm": {"weight": ANYTHING, "preference": "nodeTerm"},
    "nodeTerm": {"matchExpressions": "[nodeRequirement]"},
    "nodeRequirement": _plain("key operator values"),
    "resources": {"limits": OBJECT, "requests": OBJECT, "claims": ANYTHING},
    "container": _CONTAINER,
    "script": {**_CONTAINER, "source": ANYTHING},
    "userContainer": {**_CONTAINER, "mirrorVolumeMounts": ANYTHING},
    "setContainer": {**_CONTAINER, "dependencies": TEXTS},
    "containerSet": {
        "containers": "[setContainer]",
        "volumeMounts": "[volumeMount]",
        "retryStrategy": "setRetryStrategy",
    },
    "setRetryStrategy": _plain("duration retries"),
    "step": _CALL,
    "dag": {"target": TEXT, "failFast": ANYTHING, "tasks": "[task]"},
    "task": {**_CALL, "depends": TEXT, "dependencies": TEXTS},
    "continueOn": _plain("failed error"),
    "sequence": _plain("count start end format"),
    "suspend": _plain("duration"),
    "retryStrategy": {**_plain("limit retryPolicy expression affinity"), "backoff": "backoff"},
    "backoff": _plain("duration factor maxDuration cap"),
    "synchronization": {
        "mutex": "mutex",
        "mutexes": "[mutex]",
        "semaphore": "semaphore",
        "semaphores": "[semaphore]",
    },
    "semaphore": {"configMapKeyRef": "keyRef"},
    "podResources": {"limits": OBJECT, "requests": OBJECT},
    "memoize": {**_texts("key maxAge"), "cache": "memoCache"},
    "memoCache": {"configMap": "memoConfigMap"},
    # Its key is a legacy field; nothing reads it.
    "memoConfigMap": _plain("name key optional"),
    "mutex": _texts("name"),
    "env": {"name": TEXT, "value": ANYTHING, "valueFrom": "envSource"},
    "envSource": {"secretKeyRef": "keyRef", "configMapKeyRef": "keyRef", "fieldRef": "fieldRef"},
    "keyRef": _KEY_REF,
    "fieldRef": _plain("apiVersion fieldPath"),
    "envFrom": {"prefix": ANYTHING, "configMapRef": "objectRef", "secretRef": "objectRef"},
    "objectRef": {"name": TEXT, "optional": ANYTHING},
    "volumeMount": {**_texts("name mountPath subPath"), **_plain("readOnly mountPropagation recursiveReadOnly")},
    "volume": {
        "name": TEXT,
        "emptyDir": "emptyDir",
        "configMap": "configMap",
        "secret": "secret",
        "hostPath": "hostPath",
    },
    "emptyDir": _plain("medium sizeLimit"),
    "configMap": {"name": TEXT, **_plain("optional defaultMode"), "items": "[item]"},
    "secret": {"secretName": TEXT, **_plain("optional defaultMode"), "items": "[item]"},
    "item": {**_texts("key path"), "mode": ANYTHING},
    "hostPath": _texts("path type"),
    "probe": {
        **_plain(
            "initialDelaySeconds periodSeconds timeoutSeconds successThreshold failureThreshold "
            "terminationGracePeriodSeconds"
        ),
        "exec": "execAction",
        "httpGet": "httpAction",
        "tcpSocket": "socketAction",
    },
    "execAction": {"command": LIST},
    "httpAction": _plain("host port path scheme"),
    "socketAction": _plain("host port"),
    "podPatch": {
        **_plain("terminationGracePeriodSeconds tolerations securityContext priorityClassName"),
        "nodeSelector": OBJECT,
        "containers": "[container]",
        "initContainers": "[container]",
    },
}

# The required fields of each kind.
REQUIRED: dict[str, tuple[str, ...]] = {
    "step": ("name",),
    "task": ("name",),
    "parameter": ("name",),
    "artifact": ("name",),
    "env": ("name",),
    "volume": ("name",),
    "volumeMount": ("name", "mountPath"),
    "userContainer": ("name",),
    "setContainer": ("name",),
    "memoize": ("key", "cache"),
    "memoCache": ("configMap",),
    "memoConfigMap": ("name",),
    "mutex": ("name",),
    "semaphore": ("configMapKeyRef",),
    "keyRef": ("name", "key"),
    "objectRef": ("name",),
    "item": ("key", "path"),
    "nodeTerms": ("nodeSelectorTerms",),
    "preferredTerm": ("weight", "preference"),
    "nodeRequirement": ("key", "operator"),
    "hook": ("template",),
    "http": ("url",),
    "header": ("name", "value"),
    "claimTemplate": ("metadata",),
    "claimMetadata": ("name",),
    "dag": ("tasks",),
    "containerSet": ("containers",),
}

FIELD_PATHS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.podIP",
    "status.hostIP",
)
NODE_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
RETRY_POLICIES = ("Always", "OnFailure", "OnError", "OnTransientError")
