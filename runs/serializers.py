"""The OpenAPI document's schemas for runs; presenters.py makes the answers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s

from runs.models import RunCause, RunPhase, RunReason


class RunSummary(s.Serializer[Any]):
    url = s.URLField()
    name = s.CharField()
    phase = s.ChoiceField(RunPhase.choices)
    reason = s.ChoiceField(RunReason.choices, allow_blank=True)
    message = s.CharField(allow_blank=True)
    progress = s.CharField(allow_blank=True, help_text="Number of ended nodes and of all nodes, e.g. `2/3`.")
    owner_kind = s.CharField(help_text="The kind of work that the run belongs to, e.g. `execution`.")
    owner_id = s.IntegerField()
    attempt = s.IntegerField()
    engine = s.CharField()
    created_at = s.DateTimeField()
    updated_at = s.DateTimeField()
    submitted_at = s.DateTimeField(allow_null=True)
    started_at = s.DateTimeField(allow_null=True)
    finished_at = s.DateTimeField(allow_null=True)
    deadline_at = s.DateTimeField(allow_null=True)
    pending_deadline_at = s.DateTimeField(allow_null=True)
    stop_requested_at = s.DateTimeField(allow_null=True)
    delete_requested_at = s.DateTimeField(allow_null=True)


class RunNode(s.Serializer[Any]):
    id = s.CharField()
    depth = s.IntegerField(help_text="Depth in the tree of nodes; 0 for the Workflow's root.")
    name = s.CharField()
    display_name = s.CharField(allow_blank=True)
    type = s.CharField()
    template = s.CharField(allow_blank=True)
    phase = s.CharField(allow_blank=True, help_text="A node phase of Argo, e.g. `Running`.")
    message = s.CharField(allow_blank=True)
    progress = s.CharField(allow_blank=True)
    started_at = s.CharField(allow_null=True)
    finished_at = s.CharField(allow_null=True)
    host = s.CharField(allow_blank=True)
    children = s.ListField(child=s.CharField())


class RunEventAnswer(s.Serializer[Any]):
    at = s.DateTimeField()
    cause = s.ChoiceField(RunCause.choices)
    from_phase = s.CharField(allow_blank=True)
    to_phase = s.CharField(allow_blank=True)
    message = s.CharField(allow_blank=True)


class RunAnswer(RunSummary):
    images = s.DictField(
        child=s.CharField(allow_blank=True),
        help_text="The images of the run: name to digest, empty if the digest is not known. Images of the local engine "
        "are commands of its machine; their digest is that of the command.",
    )
    nodes = RunNode(many=True)
    events = RunEventAnswer(many=True)


class ResumeDocument(s.Serializer[Any]):
    node = s.CharField(
        required=False,
        max_length=1000,
        help_text="Id or display name of a node that waits. Default: every node that waits.",
    )


class _Page(s.Serializer[Any]):
    count = s.IntegerField()
    next = s.URLField(allow_null=True)
    previous = s.URLField(allow_null=True)


class RunPage(_Page):
    results = RunSummary(many=True)


class RunEventPage(_Page):
    results = RunEventAnswer(many=True)


class RunNodeList(s.Serializer[Any]):
    count = s.IntegerField()
    results = RunNode(many=True)


class LogLineAnswer(s.Serializer[Any]):
    at = s.CharField(allow_blank=True, help_text="When the line was written (RFC 3339); empty if not known.")
    node = s.CharField(help_text="The id of the pod's node.")
    step = s.CharField(help_text="The display name of the pod's node.")
    container = s.CharField()
    stream = s.ChoiceField(
        ["stdout", "stderr"], help_text="Always `stdout` on engines that do not tell the two outputs apart (Argo)."
    )
    text = s.CharField(allow_blank=True)


class ClusterNodeAnswer(s.Serializer[Any]):
    engine = s.CharField()
    name = s.CharField()
    partner = s.CharField(
        allow_null=True, help_text="The data partner whose pods the cluster node takes: its label `dataPartner`."
    )
    central = s.BooleanField(help_text="Whether the cluster node has the label of the central node.")
    labels = s.DictField(child=s.CharField())
    ready = s.BooleanField()
    message = s.CharField(allow_blank=True, help_text="Why the cluster node is not ready.")
    seen_at = s.DateTimeField(help_text="When its engine last reported the cluster node.")


class ClusterNodePage(_Page):
    results = ClusterNodeAnswer(many=True)
