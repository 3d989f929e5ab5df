"""Which fields of a Workflow the local engine carries out, and which it may ignore. Whatever is not here is refused.

A field's value is the name of the kind of object it holds, `[kind]` for a list of them, `[[kind]]` for a list of
lists, `{}` for anything; `hooks` are hooks by name. Source: https://argo-workflows.readthedocs.io/en/latest/fields/.
"""

from __future__ import annotations

ANYTHING = "{}"


def _plain(names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), ANYTHING)


_CONTAINER = {
    **_plain(
        "name image command args workingDir resources imagePullPolicy ports securityContext "
        "livenessProbe startupProbe terminationMessagePath terminationMessagePolicy stdin stdinOnce tty"
    ),
    "env": "[env]",
    "envFrom": "[envFrom]",
    "volumeMounts": "[volumeMount]",
    "readinessProbe": "probe",
}
_LOOP = {**_plain("withItems withParam"), "withSequence": "sequence"}
_CALL = {
    **_plain("name template when"),
    **_LOOP,
    "arguments": "arguments",
    "continueOn": "continueOn",
    "inline": "template",
    "onExit": ANYTHING,
    "hooks": "hooks",
}
_KEY_REF = _plain("name key optional")
_BLOB = ANYTHING
_STORES = dict.fromkeys(("s3", "azure", "gcs", "oss", "hdfs", "artifactory"), _BLOB)

KINDS: dict[str, dict[str, str]] = {
    "workflow": _plain("apiVersion kind metadata status") | {"spec": "spec"},
    "spec": {
        **_plain(
            "entrypoint onExit serviceAccountName automountServiceAccountToken imagePullSecrets hostNetwork "
            "dnsPolicy dnsConfig ttlStrategy podGC podMetadata tolerations priority podPriorityClassName "
            "schedulerName securityContext activeDeadlineSeconds parallelism workflowMetadata archiveLogs "
            "artifactRepositoryRef artifactGC volumeClaimGC podDisruptionBudget executor metrics"
        ),
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
    # Made as a folder that goes with the Workflow, whatever class and size is asked for.
    "claimTemplate": {**_plain("apiVersion kind spec status"), "metadata": "claimMetadata"},
    "claimMetadata": _plain("name labels annotations creationTimestamp"),
    "hook": {**_plain("template expression"), "arguments": "arguments"},
    "arguments": {"parameters": "[parameter]", "artifacts": "[artifact]"},
    "parameter": {**_plain("name value default enum description globalName"), "valueFrom": "valueFrom"},
    "valueFrom": {**_plain("path parameter expression default supplied"), "configMapKeyRef": "keyRef"},
    "artifact": {
        **_plain(
            "name path from fromExpression subPath raw optional globalName mode archive archiveLogs deleted artifactGC "
            "description"
        ),
        **_STORES,
        "http": "http",
    },
    "http": {"url": ANYTHING, "headers": "[header]"},
    "header": _plain("name value"),
    "inputs": {"parameters": "[parameter]", "artifacts": "[artifact]"},
    "outputs": {"parameters": "[parameter]", "artifacts": "[artifact]", **_plain("exitCode result")},
    "template": {
        **_plain(
            "name metadata nodeSelector podSpecPatch activeDeadlineSeconds timeout parallelism failFast daemon "
            "serviceAccountName automountServiceAccountToken securityContext tolerations priority "
            "priorityClassName schedulerName archiveLocation metrics executor annotations"
        ),
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
    },
    "container": _CONTAINER,
    "script": {**_CONTAINER, "source": ANYTHING},
    "userContainer": {**_CONTAINER, "mirrorVolumeMounts": ANYTHING},
    "setContainer": {**_CONTAINER, "dependencies": ANYTHING},
    "containerSet": {
        "containers": "[setContainer]",
        "volumeMounts": "[volumeMount]",
        "retryStrategy": "setRetryStrategy",
    },
    "setRetryStrategy": _plain("duration retries"),
    "step": _CALL,
    "dag": {**_plain("target failFast"), "tasks": "[task]"},
    "task": {**_CALL, **_plain("depends dependencies")},
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
    "podResources": _plain("limits requests"),
    "memoize": {**_plain("key maxAge"), "cache": "memoCache"},
    "memoCache": {"configMap": "memoConfigMap"},
    # The key within it is of old; nothing reads it.
    "memoConfigMap": _plain("name key optional"),
    "mutex": _plain("name"),
    "env": {**_plain("name value"), "valueFrom": "envSource"},
    "envSource": {"secretKeyRef": "keyRef", "configMapKeyRef": "keyRef", "fieldRef": "fieldRef"},
    "keyRef": _KEY_REF,
    "fieldRef": _plain("apiVersion fieldPath"),
    "envFrom": {"prefix": ANYTHING, "configMapRef": "objectRef", "secretRef": "objectRef"},
    "objectRef": _plain("name optional"),
    "volumeMount": _plain("name mountPath subPath readOnly mountPropagation recursiveReadOnly"),
    "volume": {
        "name": ANYTHING,
        "emptyDir": "emptyDir",
        "configMap": "configMap",
        "secret": "secret",
        "hostPath": "hostPath",
    },
    "emptyDir": _plain("medium sizeLimit"),
    "configMap": {**_plain("name optional defaultMode"), "items": "[item]"},
    "secret": {**_plain("secretName optional defaultMode"), "items": "[item]"},
    "item": _plain("key path mode"),
    "hostPath": _plain("path type"),
    "probe": {
        **_plain(
            "initialDelaySeconds periodSeconds timeoutSeconds successThreshold failureThreshold "
            "terminationGracePeriodSeconds"
        ),
        "exec": "execAction",
        "httpGet": "httpAction",
        "tcpSocket": "socketAction",
    },
    "execAction": _plain("command"),
    "httpAction": _plain("host port path scheme"),
    "socketAction": _plain("host port"),
    "podPatch": {
        **_plain("nodeSelector terminationGracePeriodSeconds tolerations securityContext priorityClassName"),
        "containers": "[container]",
        "initContainers": "[container]",
    },
}

# Without these an object of the kind means nothing.
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
RETRY_POLICIES = ("Always", "OnFailure", "OnError", "OnTransientError")
