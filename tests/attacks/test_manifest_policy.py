"""Manifests that ask for what is not theirs: each is refused at upload, by its place and by the rule."""

import json
from dataclasses import replace

import pytest
import yaml

from policy.check import judge
from policy.rules import Grant
from tests.schemas.samples import DOCUMENT, OPERATORS, checked, form, part

LIST = "{{workflow.parameters.execution_dataPartnerPatientsList}}"
FEDERATED = DOCUMENT | {
    "input_elements": {"platform_data": True, "external_data": False, "federated_learning_configuration": True}
}
POLICY = replace(OPERATORS, allow_host_network=False)
T, C = "/spec/templates/0", "/spec/templates/0/container"
OTHER = "execution-7-1-a1b2c3-callback"


def workflow(container=None, template=None, spec=None, metadata=None):
    """Return a Workflow of one template with the given fields on top of what every manifest has."""
    main = {"name": "main", "container": {"image": "busybox", **(container or {})}, **(template or {})}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "t-", **(metadata or {})},
        "spec": {"entrypoint": "main", "templates": [main], **(spec or {})},
    }


def instead(**template):
    """Return a Workflow whose template is of another kind than a container."""
    return {**workflow(), "spec": {"entrypoint": "main", "templates": [{"name": "main", **template}]}}


def volume(**kind):
    return workflow(template={"volumes": [{"name": "v", **kind}]})


def env(name, **source):
    return workflow({"env": [{"name": name, **source}]})


def refused(manifest, of=DOCUMENT, policy=POLICY):
    """Return pointer → rule of what is refused at upload, "shape" for what no Workflow has."""
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    found = {}
    for fault in checked(text, policy, of).faults:
        assert fault.place is not None, fault
        rule = fault.detail.removeprefix("refused by the rule ").partition(":")[0]
        is_of_policy = fault.detail.startswith("refused by the rule ")
        if is_of_policy or fault.pointer not in found:
            found[fault.pointer] = rule if is_of_policy else "shape"
    return found


V = f"{T}/volumes/0"
UNCONFINED = {"seccompProfile": {"type": "Unconfined"}}
NO_APPARMOR = {"container.apparmor.security.beta.kubernetes.io/main": "unconfined"}
EVIL_STORE = {"blob": "b", "container": "c", "endpoint": "https://evil.example"}
OTHERS_KEY = {"accessKeySecret": {"name": OTHER, "key": "token"}}
HOSTILE = {
    # Secrets and ConfigMaps of others
    "secret volume": (volume(secret={"secretName": OTHER}), f"{V}/secret/secretName", "secrets"),
    "secret key": (
        env("T", valueFrom={"secretKeyRef": {"name": OTHER, "key": "token"}}),
        f"{C}/env/0/valueFrom/secretKeyRef/name",
        "secrets",
    ),
    "secret envFrom": (
        workflow({"envFrom": [{"secretRef": {"name": OTHER}}]}),
        f"{C}/envFrom/0/secretRef/name",
        "secrets",
    ),
    "secret by a parameter": (
        env("T", valueFrom={"secretKeyRef": {"name": "{{workflow.parameters.execution_id}}", "key": "token"}}),
        f"{C}/env/0/valueFrom/secretKeyRef/name",
        "secrets",
    ),
    "secret by the Workflow's name": (
        volume(secret={"secretName": "{{workflow.name}}-callback"}),
        f"{V}/secret/secretName",
        "secrets",
    ),
    "config map volume": (volume(configMap={"name": "kube-root-ca.crt"}), f"{V}/configMap/name", "config-maps"),
    "config map key": (
        env("T", valueFrom={"configMapKeyRef": {"name": "settings", "key": "a"}}),
        f"{C}/env/0/valueFrom/configMapKeyRef/name",
        "config-maps",
    ),
    "config map envFrom": (
        workflow({"envFrom": [{"configMapRef": {"name": "execution-7-1-a1b2c3-platform-vars"}}]}),
        f"{C}/envFrom/0/configMapRef/name",
        "config-maps",
    ),
    "projected secret": (
        volume(projected={"sources": [{"secret": {"name": OTHER}}]}),
        f"{V}/projected",
        "volume-kinds",
    ),
    "projected token": (
        volume(projected={"sources": [{"serviceAccountToken": {"path": "t", "audience": "api"}}]}),
        f"{V}/projected",
        "volume-kinds",
    ),
    "memoized in a config map": (
        workflow(template={"memoize": {"key": "k", "maxAge": "1h", "cache": {"configMap": {"name": "c", "key": "k"}}}}),
        f"{T}/memoize",
        "allowed-fields",
    ),
    "parameter of a config map": (
        workflow(
            template={
                "inputs": {"parameters": [{"name": "p", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]}
            }
        ),
        f"{T}/inputs/parameters/0/valueFrom/configMapKeyRef",
        "allowed-fields",
    ),
    "semaphore of a config map": (
        workflow(template={"synchronization": {"semaphores": [{"configMapKeyRef": {"name": "c", "key": "k"}}]}}),
        f"{T}/synchronization/semaphores",
        "allowed-fields",
    ),
    "artifact repository of a config map": (
        workflow(spec={"artifactRepositoryRef": {"configMap": "c", "key": "k"}}),
        "/spec/artifactRepositoryRef",
        "allowed-fields",
    ),
    # Other volumes
    **{
        f"volume {kind}": (volume(**{kind: value}), f"{V}/{kind}", "volume-kinds")
        for kind, value in {
            "nfs": {"server": "169.254.169.254", "path": "/"},
            "iscsi": {"targetPortal": "10.0.0.1:3260", "iqn": "iqn.2001-04.com.example:x", "lun": 0},
            "csi": {"driver": "secrets-store.csi.k8s.io"},
            "cephfs": {"monitors": ["10.0.0.1"]},
            "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]},
            "ephemeral": {},
            "flexVolume": {"driver": "x/y"},
            "gitRepo": {"repository": "http://169.254.169.254/"},
            "glusterfs": {"endpoints": "e", "path": "p"},
            "rbd": {"monitors": ["10.0.0.1"], "image": "i"},
            "azureFile": {"secretName": "s", "shareName": "n"},
            "fc": {"lun": 0},
        }.items()
    },
    "foreign volume claim": (
        volume(persistentVolumeClaim={"claimName": "postgres-data"}),
        f"{V}/persistentVolumeClaim/claimName",
        "volume-claims",
    ),
    "volume of two kinds": (volume(emptyDir={}, hostPath={"path": "/"}), V, "allowed-values"),
    "own volume claim": (
        workflow(spec={"volumeClaimTemplates": [{"metadata": {"name": "w"}, "spec": {"storageClassName": "fast"}}]}),
        "/spec/volumeClaimTemplates",
        "allowed-fields",
    ),
    "block device": (
        workflow({"volumeDevices": [{"name": "v", "devicePath": "/dev/sda"}]}),
        f"{C}/volumeDevices",
        "allowed-fields",
    ),
    # The host
    "host path": (volume(hostPath={"path": "/"}), f"{V}/hostPath/path", "host-path"),
    "host path made": (
        volume(hostPath={"path": "{{workflow.parameters.execution_dataPartnerDataPath}}", "type": "DirectoryOrCreate"}),
        f"{V}/hostPath/type",
        "allowed-values",
    ),
    "host socket": (
        volume(hostPath={"path": "{{workflow.parameters.execution_dataPartnerDataPath}}", "type": "Socket"}),
        f"{V}/hostPath/type",
        "allowed-values",
    ),
    "host path below a partner's": (
        volume(hostPath={"path": "{{workflow.parameters.execution_dataPartnerDataPath}}/../../etc"}),
        f"{V}/hostPath/path",
        "host-path",
    ),
    "host network": (workflow(spec={"hostNetwork": True}), "/spec/hostNetwork", "no-host-network"),
    "host port": (
        workflow({"ports": [{"containerPort": 80, "hostPort": 80}]}),
        f"{C}/ports/0/hostPort",
        "allowed-fields",
    ),
    "host address": (
        workflow({"ports": [{"containerPort": 80, "hostIP": "0.0.0.0"}]}),
        f"{C}/ports/0/hostIP",
        "allowed-fields",
    ),
    "host aliases": (
        workflow(spec={"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["orchestrator-api"]}]}),
        "/spec/hostAliases",
        "allowed-fields",
    ),
    "host aliases of a template": (
        workflow(template={"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["orchestrator-api"]}]}),
        f"{T}/hostAliases",
        "allowed-fields",
    ),
    "name servers": (workflow(spec={"dnsConfig": {"nameservers": ["10.6.6.6"]}}), "/spec/dnsConfig", "allowed-fields"),
    "name servers of the node": (workflow(spec={"dnsPolicy": "Default"}), "/spec/dnsPolicy", "allowed-values"),
    # What a container is
    **{
        f"container {name}": (workflow({"securityContext": context}), f"{C}/securityContext/{at}", rule)
        for name, context, at, rule in [
            ("privileged", {"privileged": True}, "privileged", "no-privileged-containers"),
            ("escalating", {"allowPrivilegeEscalation": True}, "allowPrivilegeEscalation", "no-privilege-escalation"),
            ("capable", {"capabilities": {"add": ["SYS_ADMIN"]}}, "capabilities/add", "no-added-capabilities"),
            ("unmasked", {"procMount": "Unmasked"}, "procMount", "no-unmasked-proc"),
            ("of root", {"runAsUser": 0}, "runAsUser", "no-root"),
            ("of root's group", {"runAsGroup": 0}, "runAsGroup", "no-root"),
            ("of anybody", {"runAsNonRoot": False}, "runAsNonRoot", "no-root"),
            ("of a negative user", {"runAsUser": -1}, "runAsUser", "no-root"),
            (
                "unconfined",
                {"seccompProfile": {"type": "Unconfined"}},
                "seccompProfile/type",
                "no-unconfined-containers",
            ),
            (
                "of another profile",
                {"seccompProfile": {"type": "Localhost", "localhostProfile": "x.json"}},
                "seccompProfile/localhostProfile",
                "allowed-fields",
            ),
            (
                "without AppArmor",
                {"appArmorProfile": {"type": "Unconfined"}},
                "appArmorProfile/type",
                "no-unconfined-containers",
            ),
            ("of SELinux", {"seLinuxOptions": {"type": "spc_t"}}, "seLinuxOptions", "allowed-fields"),
            ("of Windows", {"windowsOptions": {"hostProcess": True}}, "windowsOptions", "no-privileged-containers"),
        ]
    },
    **{
        f"pod {name}": (workflow(template={"securityContext": context}), f"{T}/securityContext/{at}", rule)
        for name, context, at, rule in [
            ("of root", {"runAsUser": 0}, "runAsUser", "no-root"),
            ("of root's files", {"fsGroup": 0}, "fsGroup", "no-root"),
            ("of root's groups", {"supplementalGroups": [0]}, "supplementalGroups/0", "no-root"),
            (
                "unconfined",
                {"seccompProfile": {"type": "Unconfined"}},
                "seccompProfile/type",
                "no-unconfined-containers",
            ),
            ("with sysctls", {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}, "sysctls", "allowed-fields"),
        ]
    },
    "pods of root": (
        workflow(spec={"securityContext": {"runAsNonRoot": False}}),
        "/spec/securityContext/runAsNonRoot",
        "no-root",
    ),
    "no AppArmor by an annotation": (
        workflow(
            template={
                "metadata": {"annotations": {"container.apparmor.security.beta.kubernetes.io/main": "unconfined"}}
            }
        ),
        f"{T}/metadata/annotations/container.apparmor.security.beta.kubernetes.io~1main",
        "labels",
    ),
    "devices by an annotation": (
        workflow(template={"metadata": {"annotations": {"io.kubernetes.cri-o.Devices": "/dev/sda"}}}),
        f"{T}/metadata/annotations/io.kubernetes.cri-o.Devices",
        "labels",
    ),
    # Where a pod runs
    "another partner's node": (
        workflow(template={"nodeSelector": {"dataPartner": "data-partner-2"}}),
        f"{T}/nodeSelector/dataPartner",
        "node-selectors",
    ),
    "another partner's node for all": (
        workflow(spec={"nodeSelector": {"dataPartner": "data-partner-2"}}),
        "/spec/nodeSelector/dataPartner",
        "node-selectors",
    ),
    "a node of the control plane": (
        workflow(template={"nodeSelector": {"node-role.kubernetes.io/control-plane": ""}}),
        f"{T}/nodeSelector/node-role.kubernetes.io~1control-plane",
        "node-selectors",
    ),
    "a node by its host name": (
        workflow(template={"nodeSelector": {"kubernetes.io/hostname": "node-1"}}),
        f"{T}/nodeSelector/kubernetes.io~1hostname",
        "node-selectors",
    ),
    "a node by what a user typed": (
        workflow(template={"nodeSelector": {"dataPartner": "{{workflow.parameters.execution_outputAIModelName}}"}}),
        f"{T}/nodeSelector/dataPartner",
        "node-selectors",
    ),
    "a node by affinity": (
        workflow(
            template={
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {"matchExpressions": [{"key": "dataPartner", "operator": "In", "values": ["other"]}]}
                            ]
                        }
                    }
                }
            }
        ),
        f"{T}/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0"
        "/matchExpressions/0/values/0",
        "node-selectors",
    ),
    "a node by what it is not": (
        workflow(
            template={
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {"matchExpressions": [{"key": "nodeType", "operator": "NotIn", "values": ["central"]}]}
                            ]
                        }
                    }
                }
            }
        ),
        f"{T}/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0"
        "/matchExpressions/0",
        "node-selectors",
    ),
    "beside others' pods": (
        workflow(template={"affinity": {"podAffinity": {}}}),
        f"{T}/affinity/podAffinity",
        "allowed-fields",
    ),
    "on tainted nodes": (
        workflow(template={"tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}]}),
        f"{T}/tolerations",
        "allowed-fields",
    ),
    "on any node": (
        workflow(spec={"tolerations": [{"operator": "Exists"}]}),
        "/spec/tolerations",
        "allowed-fields",
    ),
    "before everybody": (
        workflow(template={"priorityClassName": "system-node-critical"}),
        f"{T}/priorityClassName",
        "allowed-fields",
    ),
    "before everybody, all": (
        workflow(spec={"podPriorityClassName": "system-cluster-critical"}),
        "/spec/podPriorityClassName",
        "allowed-fields",
    ),
    "first in the queue": (workflow(spec={"priority": 1000000}), "/spec/priority", "allowed-fields"),
    "by another scheduler": (workflow(spec={"schedulerName": "mine"}), "/spec/schedulerName", "allowed-fields"),
    "never disrupted": (
        workflow(spec={"podDisruptionBudget": {"minAvailable": 1}}),
        "/spec/podDisruptionBudget",
        "allowed-fields",
    ),
    # What runs
    **{
        f"{kind} template": (instead(**{kind: value}), f"{T}/{kind}", rule)
        for kind, value, rule in [
            ("http", {"url": "http://169.254.169.254/latest/meta-data/"}, "template-kinds"),
            (
                "data",
                {"source": {"artifactPaths": {"name": "a", "s3": {"bucket": "b"}}}, "transformation": []},
                "template-kinds",
            ),
            ("resource", {"action": "create", "manifest": "kind: Pod"}, "no-resource-templates"),
            ("plugin", {"hello": {}}, "template-kinds"),
        ]
    },
    "http template within a step": (
        instead(steps=[[{"name": "a", "inline": {"http": {"url": "http://169.254.169.254/"}}}]]),
        f"{T}/steps/0/0/inline/http",
        "template-kinds",
    ),
    "template of elsewhere": (
        instead(steps=[[{"name": "a", "templateRef": {"name": "x", "template": "y", "clusterScope": True}}]]),
        f"{T}/steps/0/0/templateRef",
        "no-outside-templates",
    ),
    "templates of elsewhere": (
        workflow(spec={"workflowTemplateRef": {"name": "x"}}),
        "/spec/workflowTemplateRef",
        "no-outside-templates",
    ),
    "template of elsewhere in a hook": (
        workflow(spec={"hooks": {"running": {"expression": "true", "templateRef": {"name": "x", "template": "y"}}}}),
        "/spec/hooks/running/templateRef",
        "no-outside-templates",
    ),
    "a template that only running tells": (
        instead(steps=[[{"name": "a", "template": "{{workflow.parameters.execution_id}}"}]]),
        f"{T}/steps/0/0/template",
        "names",
    ),
    "account": (workflow(spec={"serviceAccountName": "default"}), "/spec/serviceAccountName", "service-accounts"),
    "account of a template": (
        workflow(template={"serviceAccountName": "default"}),
        f"{T}/serviceAccountName",
        "service-accounts",
    ),
    "account of the executor": (
        workflow(spec={"executor": {"serviceAccountName": "cluster-admin"}}),
        "/spec/executor/serviceAccountName",
        "service-accounts",
    ),
    "image": (workflow({"image": "evil.example/miner:1"}), f"{C}/image", "images"),
    "image of a name alike": (workflow({"image": "localhost:5000.evil.example/busybox"}), f"{C}/image", "images"),
    "image of a look-alike": (workflow({"image": "busyb\u043ex"}), f"{C}/image", "images"),
    "image of a registry that somebody names": (
        workflow({"image": "{{workflow.parameters.execution_outputAIModelName}}/busybox:1"}),
        f"{C}/image",
        "images",
    ),
    "image that a step will name": (workflow({"image": "{{inputs.parameters.x}}"}), f"{C}/image", "images"),
    "life cycle": (
        workflow({"lifecycle": {"postStart": {"httpGet": {"host": "169.254.169.254", "port": 80}}}}),
        f"{C}/lifecycle",
        "allowed-fields",
    ),
    "probe of another host": (
        workflow({"readinessProbe": {"httpGet": {"host": "169.254.169.254", "port": 80}}}),
        f"{C}/readinessProbe/httpGet/host",
        "allowed-fields",
    ),
    "devices by resources": (
        workflow({"resources": {"limits": {"hugepages-2Mi": "1Gi"}}}),
        f"{C}/resources/limits/hugepages-2Mi",
        "allowed-fields",
    ),
    # Artifacts
    **{
        f"artifact of {kind}": (
            workflow(template={"inputs": {"artifacts": [{"name": "a", "path": "/a", kind: value}]}}),
            f"{T}/inputs/artifacts/0/{kind}{at}",
            rule,
        )
        for kind, value, at, rule in [
            ("git", {"repo": "http://169.254.169.254/x.git"}, "", "artifact-stores"),
            ("http", {"url": "http://169.254.169.254/latest/"}, "", "artifact-stores"),
            ("hdfs", {"path": "/", "addresses": ["10.0.0.1:8020"]}, "", "artifact-stores"),
            ("artifactory", {"url": "http://10.0.0.1/"}, "", "artifact-stores"),
            ("gcs", {"key": "k", "bucket": "b"}, "", "artifact-stores"),
            ("oss", {"key": "k"}, "", "artifact-stores"),
            ("s3", {"key": "k", "endpoint": "169.254.169.254:80"}, "/endpoint", "artifact-stores"),
            (
                "azure",
                {"blob": "b", "container": "c", "endpoint": "https://evil.example"},
                "/endpoint",
                "artifact-stores",
            ),
        ]
    },
    "artifact with another's Secret": (
        workflow(template={"outputs": {"artifacts": [{"name": "a", "path": "/a", "s3": OTHERS_KEY}]}}),
        f"{T}/outputs/artifacts/0/s3/accessKeySecret/name",
        "secrets",
    ),
    "artifact with the node's account": (
        workflow(template={"outputs": {"artifacts": [{"name": "a", "path": "/a", "s3": {"useSDKCreds": True}}]}}),
        f"{T}/outputs/artifacts/0/s3/useSDKCreds",
        "allowed-fields",
    ),
    "artifact deleted with an account": (
        workflow(
            template={
                "outputs": {"artifacts": [{"name": "a", "path": "/a", "artifactGC": {"serviceAccountName": "root"}}]}
            }
        ),
        f"{T}/outputs/artifacts/0/artifactGC",
        "allowed-fields",
    ),
    "artifacts deleted with an account": (
        workflow(spec={"artifactGC": {"serviceAccountName": "root", "podSpecPatch": "{}"}}),
        "/spec/artifactGC",
        "allowed-fields",
    ),
    "logs archived elsewhere": (
        workflow(template={"archiveLocation": {"s3": {"bucket": "b"}}}),
        f"{T}/archiveLocation",
        "allowed-fields",
    ),
    # Labels
    **{
        f"label {key}": (
            workflow(metadata={"labels": {key: value}}),
            f"/metadata/labels/{key.replace('/', '~1')}",
            "labels",
        )
        for key, value in {
            "app.kubernetes.io/managed-by": "orchestrator",
            "orchestrator/execution": "1",
            "workflows.argoproj.io/controller-instanceid": "other",
            "workflows.argoproj.io/completed": "true",
        }.items()
    },
    "annotation of ours": (
        workflow(metadata={"annotations": {"orchestrator/max-model-bytes": "1"}}),
        "/metadata/annotations/orchestrator~1max-model-bytes",
        "labels",
    ),
    "label of a pod": (
        workflow(template={"metadata": {"labels": {"app.kubernetes.io/name": "orchestrator"}}}),
        f"{T}/metadata/labels/app.kubernetes.io~1name",
        "labels",
    ),
    "labels of all pods": (
        workflow(spec={"podMetadata": {"labels": {"may-call": "everybody"}}}),
        "/spec/podMetadata",
        "allowed-fields",
    ),
    "labels of the Workflow": (
        workflow(spec={"workflowMetadata": {"labels": {"app.kubernetes.io/managed-by": "me"}}}),
        "/spec/workflowMetadata",
        "allowed-fields",
    ),
    "another namespace": (
        workflow(metadata={"namespace": "kube-system"}),
        "/metadata/namespace",
        "allowed-values",
    ),
    "another owner": (
        workflow(metadata={"ownerReferences": []}),
        "/metadata/ownerReferences",
        "allowed-fields",
    ),
    # Names and paths
    **{
        f"volume named {name[:20]!r}": (
            workflow(template={"volumes": [{"name": name, "emptyDir": {}}]}),
            f"{V}/name",
            "names",
        )
        for name in ("../x", "/etc", "a/b", "a..b", ".", "", "A", "v\u0430r", "-a", "a" * 64)
    },
    **{
        f"container named {name!r}": (
            instead(containerSet={"containers": [{"name": name, "image": "busybox"}]}),
            f"{T}/containerSet/containers/0/name",
            "names",
        )
        for name in ("../../x", "/etc/passwd", "main\n", "m\u0430in")
    },
    **{
        f"sidecar named {name!r}": (
            workflow(template={"sidecars": [{"name": name, "image": "busybox"}]}),
            f"{T}/sidecars/0/name",
            "names",
        )
        for name in ("../x", "/proc/self")
    },
    **{
        f"artifact named {name!r}": (
            workflow(template={"inputs": {"artifacts": [{"name": name, "path": "/a", "raw": {"data": "x"}}]}}),
            f"{T}/inputs/artifacts/0/name",
            "names",
        )
        for name in ("../x", "/etc/cron.d/x", "a/../b")
    },
    **{
        f"parameter named {name!r}": (
            workflow(template={"outputs": {"parameters": [{"name": name, "valueFrom": {"path": "/p"}}]}}),
            f"{T}/outputs/parameters/0/name",
            "names",
        )
        for name in ("../x", "/x", "a..b")
    },
    "template named by a path": (
        instead()
        | {"spec": {"entrypoint": "../x", "templates": [{"name": "../x", "container": {"image": "busybox"}}]}},
        f"{T}/name",
        "names",
    ),
    "step named by a path": (
        instead(steps=[[{"name": "../../x", "inline": {"container": {"image": "busybox"}}}]]),
        f"{T}/steps/0/0/name",
        "names",
    ),
    "mutex named by a path": (
        workflow(template={"synchronization": {"mutexes": [{"name": "../../x"}]}}),
        f"{T}/synchronization/mutexes/0/name",
        "names",
    ),
    "variable named oddly": (env("A=B\nC", value="x"), f"{C}/env/0/name", "names"),
    "key of a Secret by a path": (
        volume(configMap={"name": "kafka", "items": [{"key": "../../x", "path": "x"}]}),
        f"{V}/configMap/items/0/key",
        "names",
    ),
    "item out of its volume": (
        volume(configMap={"name": "kafka", "items": [{"key": "x", "path": "../../x"}]}),
        f"{V}/configMap/items/0/path",
        "paths",
    ),
    **{
        f"mounted at {path!r}": (
            workflow({"volumeMounts": [{"name": "v", "mountPath": path}]}),
            f"{C}/volumeMounts/0/mountPath",
            "paths",
        )
        for path in ("/a/../../etc", "etc", "/", "//", "/a:/b", "/a\nb", "{{inputs.parameters.x}}")
    },
    **{
        f"mounted from {path!r}": (
            workflow({"volumeMounts": [{"name": "v", "mountPath": "/a", "subPath": path}]}),
            f"{C}/volumeMounts/0/subPath",
            "paths",
        )
        for path in ("../x", "/etc", "a/../../b")
    },
    "mounted from an expression": (
        workflow({"volumeMounts": [{"name": "v", "mountPath": "/a", "subPathExpr": "$(X)"}]}),
        f"{C}/volumeMounts/0/subPathExpr",
        "allowed-fields",
    ),
    "mounts that others see": (
        workflow({"volumeMounts": [{"name": "v", "mountPath": "/a", "mountPropagation": "Bidirectional"}]}),
        f"{C}/volumeMounts/0/mountPropagation",
        "allowed-values",
    ),
    "an output from elsewhere": (
        workflow(template={"outputs": {"parameters": [{"name": "p", "valueFrom": {"path": "../../proc/1/environ"}}]}}),
        f"{T}/outputs/parameters/0/valueFrom/path",
        "paths",
    ),
}


@pytest.mark.parametrize(("manifest", "pointer", "rule"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_manifest_is_refused_by_its_place(manifest, pointer, rule):
    assert refused(manifest).get(pointer) == rule


@pytest.mark.parametrize(("manifest", "pointer", "rule"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_workflow_is_refused_as_rendered(manifest, pointer, rule):
    found = {fault.pointer: fault.detail for fault in judge(manifest, POLICY, Grant()).faults}

    assert found[pointer].startswith(f"refused by the rule {rule}: ")


@pytest.mark.parametrize(("manifest", "pointer", "rule"), HOSTILE.values(), ids=HOSTILE)
def test_templates_within_steps_are_no_way_round(manifest, pointer, rule):
    template = dict(manifest["spec"]["templates"][0])
    if not pointer.startswith(f"{T}/") or pointer == f"{T}/name" or "name" not in template or "steps" in template:
        return
    template.pop("name")
    wrapped = {**manifest, "spec": {"entrypoint": "outer", "templates": [
        {"name": "outer", "dag": {"tasks": [{"name": "a", "inline": template}]}}]}}  # fmt: skip

    assert refused(wrapped).get(pointer.replace(T, f"{T}/dag/tasks/0/inline", 1)) == rule


def test_the_manifest_without_the_attack_is_taken():
    assert refused(workflow()) == {}


@pytest.mark.parametrize("new", ["HostNetwork", "hostnetwork", "hostNetwork\u200b", "h\u043estNetwork"])
def test_oddly_written_fields_are_refused(new):
    text = json.dumps(workflow(spec={"hostNetwork": True}), ensure_ascii=False).replace("hostNetwork", new)
    allowing = replace(POLICY, allow_host_network=True)

    assert list(refused(text, policy=allowing)) == [f"/spec/{new}"]


def test_anchors_bring_nothing_past_the_table():
    text = yaml.safe_dump(workflow()).replace(
        "container:\n", "container:\n      securityContext: &x {privileged: true}\n"
    )
    merged = text.replace("&x {privileged: true}", "{<<: &y {privileged: true}}")

    assert refused(text)[f"{C}/securityContext/privileged"] == "no-privileged-containers"
    assert refused(merged)[f"{C}/securityContext/privileged"] == "no-privileged-containers"


def test_a_text_is_no_number_and_a_number_no_text():
    numbers = workflow({"securityContext": {"runAsUser": "1000"}})
    flags = workflow({"securityContext": {"runAsNonRoot": "true"}})

    assert refused(numbers) and refused(flags)


def test_a_nul_character_stands_nowhere():
    manifest = workflow({"args": ["a\0b"]})

    assert checked(json.dumps(manifest), POLICY).faults


# Another's node or path by way of steps, items and defaults

FAN = """\
  - name: main
    steps: [[{name: a, template: client, withParam: "LIST", arguments: {parameters: [
      {name: who, value: "WHO"}, {name: path, value: "{{item.data_path}}"}]}}]]
  - name: client
    inputs: {parameters: [{name: who}, {name: path}]}
    nodeSelector: {dataPartner: "{{inputs.parameters.who}}"}
    volumes: [{name: v, hostPath: {path: "{{inputs.parameters.path}}"}}]
    container: {image: busybox}
""".replace("LIST", LIST)


def fan(who):
    head = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec:\n  entrypoint: main\n  templates:\n"
    return head + FAN.replace("WHO", who)


def test_a_partners_path_is_mounted_on_its_own_node():
    assert refused(fan("{{item.data_partner}}"), of=FEDERATED) == {}


def test_a_partners_path_is_mounted_on_no_other_node():
    found = refused(fan("data-partner-2"), of=FEDERATED)

    assert found["/spec/templates/1/nodeSelector/dataPartner"] == "node-selectors"
    assert found["/spec/templates/1/volumes/0/hostPath/path"] == "host-path"


def test_a_default_of_all_templates_names_no_inputs():
    spec = {
        "templateDefaults": {"inputs": {"parameters": [{"name": "execution_dataPartnerDataPath", "value": "/etc"}]}}
    }

    assert refused(workflow(spec=spec)) == {"/spec/templateDefaults/inputs": "allowed-fields"}


# What an operator says


TOLERATIONS = [{"key": "gpu", "operator": "Exists"}]


def test_an_operator_allows_a_field_by_its_place():
    policy = replace(POLICY, allowed_fields=(("/spec/templates/*/tolerations", None),))

    assert refused(workflow(template={"tolerations": TOLERATIONS}), policy=policy) == {}
    assert refused(workflow(spec={"tolerations": TOLERATIONS}), policy=policy) == {
        "/spec/tolerations": "allowed-fields"
    }


def test_an_operator_allows_a_value_and_no_other():
    policy = replace(POLICY, allowed_fields=(("/spec/templates/*/tolerations", (json.dumps(TOLERATIONS),)),))
    everything = [{"operator": "Exists"}]

    assert refused(workflow(template={"tolerations": TOLERATIONS}), policy=policy) == {}
    assert refused(workflow(template={"tolerations": everything}), policy=policy)


def test_an_operator_allows_a_field_of_patches():
    patch = json.dumps({"runtimeClassName": "gvisor"})
    policy = replace(POLICY, allowed_fields=(("/spec/templates/*/podSpecPatch/runtimeClassName", ('"gvisor"',)),))

    assert refused(workflow(template={"podSpecPatch": patch})) == {f"{T}/podSpecPatch": "allowed-fields"}
    assert refused(workflow(template={"podSpecPatch": patch}), policy=policy) == {}
    assert refused(workflow(template={"podSpecPatch": patch.replace("gvisor", "other")}), policy=policy)


def test_listed_names_may_be_used():
    policy = replace(POLICY, secrets=(OTHER,), volume_claims=("data",), config_maps=("settings",))

    assert refused(volume(secret={"secretName": OTHER}), policy=policy) == {}
    assert refused(volume(persistentVolumeClaim={"claimName": "data"}), policy=policy) == {}
    assert refused(volume(configMap={"name": "settings"}), policy=policy) == {}


def test_the_hosts_network_is_refused_by_its_setting():
    [fault] = checked(json.dumps(workflow(spec={"hostNetwork": True})), POLICY).faults

    assert "MANIFEST_ALLOW_HOST_NETWORK" in fault.detail


@pytest.mark.django_db
def test_over_http_the_answer_points_into_the_file(api):
    text = yaml.safe_dump(volume(nfs={"server": "169.254.169.254", "path": "/"}), sort_keys=False)

    answer = api.post("/api/schemas/", form(auxiliary_file=part(text)))

    assert answer.status_code == 400
    [fault] = answer.json()["errors"]
    assert fault["pointer"] == f"/files/auxiliary_file#{V}/nfs"
    assert fault["detail"].startswith("line 13, column 7: refused by the rule volume-kinds: ")
