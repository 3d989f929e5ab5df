"""The OpenAPI document's schemas for a federated training's rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework import serializers as s

from executions.rounds import PartnerState

if TYPE_CHECKING:
    _Serializer = s.Serializer[Any]
else:
    _Serializer = s.Serializer


class ClientsTold(_Serializer):
    expected = s.IntegerField(min_value=0, required=False)
    ready = s.ListField(child=s.CharField(), required=False)
    answered = s.ListField(child=s.CharField(), required=False)
    failed = s.DictField(child=s.CharField(), required=False)


class ProgressDocument(_Serializer):
    """A federated manager's report of its progress; other fields are ignored."""

    role = s.ChoiceField(choices=["server", "client"])
    client = s.CharField(allow_blank=True, help_text="The data partner whose client reports; empty for the server.")
    step = s.CharField(max_length=50)
    round = s.IntegerField(
        min_value=0, allow_null=True, help_text="Counted from 0; the final evaluation has the number of rounds."
    )
    bytes_sent = s.IntegerField(min_value=0, required=False)
    bytes_received = s.IntegerField(min_value=0, required=False)
    message = s.CharField(required=False, allow_blank=True, help_text="Why the role failed.")
    clients = ClientsTold(required=False)
    of = s.CharField(required=False, help_text="The data partner whose metrics the server reports.")
    metrics = s.JSONField(required=False, help_text="An evaluation metrics document.")


class _Heard(_Serializer):
    round = s.IntegerField(allow_null=True)
    message = s.CharField(allow_blank=True)
    bytes_sent = s.IntegerField(help_text="Since the start of the role's process.")
    bytes_received = s.IntegerField(help_text="Since the start of the role's process.")
    reported_at = s.DateTimeField(allow_null=True)


class ServerAnswer(_Heard):
    state = s.CharField(help_text="The server's last step.")


class DataPartnerAnswer(_Heard):
    data_partner = s.CharField()
    state = s.ChoiceField(choices=[(each.value, each.value) for each in PartnerState])


class RoundAnswer(_Serializer):
    round = s.IntegerField(help_text="Counted from 0; the final evaluation has the number of rounds.")
    is_evaluation = s.BooleanField()
    state = s.CharField(allow_blank=True, help_text="The server's last step in this round.")
    ready = s.ListField(child=s.CharField())
    answered = s.ListField(child=s.CharField())
    failed = s.DictField(child=s.CharField(), help_text="Data partner to reason.")
    metrics = s.DictField(child=s.DictField(child=s.FloatField()), help_text="Data partner to metric to value.")
    bytes_sent = s.IntegerField(help_text="By the server, since the start of its process.")
    bytes_received = s.IntegerField(help_text="By the server, since the start of its process.")
    began_at = s.DateTimeField()
    reported_at = s.DateTimeField()


class TrainingAnswer(_Serializer):
    attempt = s.IntegerField()
    server = ServerAnswer(allow_null=True)
    data_partners = DataPartnerAnswer(many=True)
    rounds = RoundAnswer(many=True)
