"""Manifests that ask for what is not theirs: each with the pointer at which and the rule by which it is refused."""

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
        f"{T}/memoize/cache/configMap/name",
        "config-maps",
    ),
    "parameter of a config map": (
        workflow(
            template={
                "inputs": {"parameters": [{"name": "p", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]}
            }
        ),
        f"{T}/inputs/parameters/0/valueFrom/configMapKeyRef/name",
        "config-maps",
    ),
    "semaphore of a config map": (
        workflow(template={"synchronization": {"semaphores": [{"configMapKeyRef": {"name": "c", "key": "k"}}]}}),
        f"{T}/synchronization/semaphores/0/configMapKeyRef/name",
        "config-maps",
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
