"""`/api/channels/`: the channels of federated training that this service stores, and models kept outside topics."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from federated import serializers as api
from federated.heads import LONGEST_WAIT_SECONDS, MOST_HEADS, read_head, read_wanted
from federated.messages import Publication, message_offset, message_publish, stored_model_put
from federated.models import Channel
from federated.roles import (
    MAY_READ,
    ROLES_IN_CHANNELS,
    may_store,
    may_write,
    readable_keys,
    readable_storers,
    storer_of,
)
from federated.selectors import (
    channel_found,
    end_of,
    heads_after,
    message_found,
    refuse_closed,
    stored_model_found,
)
from federated.waiting import MESSAGES
from web.downloads import file_response
from web.errors import Fault, InvalidInput
from web.grants import WorkflowGrant, grant_of
from web.long_polls import LongPoll
from web.standing import GrantedTurns, refuse_ended, still_granted
from web.streamed_bodies import IncomingBody, announced_digest, announced_length
from web.turns import InTurns, takes_turns

_BINARY = {"application/octet-stream": OpenApiTypes.BINARY}
_FILE = OpenApiResponse(OpenApiTypes.BINARY, description="The file. HEAD and a single byte range are supported.")
_FILES = {(status, "application/octet-stream"): _FILE for status in (200, 206)}


def _header(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, required=True, description=description)


def _speaks_in(grant: WorkflowGrant, channel: Channel) -> bool:
    return grant.is_for(channel.owner_kind, channel.owner_id) and grant.attempt == channel.attempt


class ChannelView(APIView):
    """The base of a channel's views: people may read; a Workflow may use what its attempt and role allow."""

    @staticmethod
    def workflow_access(grant: WorkflowGrant, request: Request, view: Any) -> bool:
        # `channel` checks whose channel it is; federated.roles decides on topics and keys.
        return grant.role in ROLES_IN_CHANNELS and request.method != "OPTIONS"

    def channel(self, request: Request, channel_id: str, topic: str = "") -> Channel:
        """Return the open channel that a request may use; checks that a reader may read `topic`.

        Raises NotFound, PermissionDenied and ChannelClosed.
        """
        channel = channel_found(channel_id)
        grant = grant_of(request)
        if grant is not None and not _speaks_in(grant, channel):
            raise PermissionDenied("The token belongs to the Workflow of another channel.")
        if grant is None and request.method not in ("GET", "HEAD", "OPTIONS"):
            raise PermissionDenied("Only the channel's own Workflow may write into it.")
        if grant is not None and topic and request.method != "POST" and topic not in MAY_READ[grant.role]:
            raise PermissionDenied(f"The role of this token may not read the topic {topic}.")
        refuse_closed(channel)
        return channel


class MessagesView(ChannelView):
    @extend_schema(
        operation_id="channels_messages_publish",
        parameters=[
            _header(
                "Message-Id", "Id of the message: 32 hexadecimal digits. Use the same id when a message is sent again."
            ),
            _header("Message-Key", "Key of the message, percent-encoded UTF-8."),
            _header(
                "Message-Headers",
                "Headers of the message: a JSON object whose values are strings, percent-encoded UTF-8.",
            ),
            _header("Message-Null", "`true` for a message with the null value, else `false`."),
            OpenApiParameter(
                "Content-Digest",
                str,
                OpenApiParameter.HEADER,
                description="SHA-256 of the body: `sha-256=:<base64>:` (RFC 9530).",
            ),
        ],
        request=_BINARY,
        responses={201: api.PublishedAnswer, 200: api.PublishedAnswer},
    )
    def post(self, request: Request, channel_id: str, topic: str) -> Response:
        """Append a message to a topic, once for each Message-Id."""
        channel = self.channel(request, channel_id)
        head = read_head(request.headers)
        grant = grant_of(request)
        if grant is None or not may_write(grant, channel.pk, topic, head.key):
            raise PermissionDenied("The role of this token may not publish under this key in this topic.")
        length = announced_length(request, channel.max_model_bytes)
        digest = announced_digest(request)
        if head.is_null and length:
            raise InvalidInput(faults=[Fault("/headers/Message-Null", "must be false for a request with a body")])
        known = message_offset(channel_id=channel.pk, topic=topic, message_id=head.message_id)
        if known is not None:
            return Response({"offset": known})
        body = None if head.is_null else IncomingBody(request, length, digest)
        message = Publication(topic, head.message_id, head.key, head.headers, body)
        published = message_publish(channel=channel, message=message)
        return Response({"offset": published.offset}, 201 if published.is_new else 200)

    @extend_schema(
        operation_id="channels_messages_list",
        parameters=[
            OpenApiParameter(
                "after", int, description="Only messages with a higher offset. Default: -1, for all messages."
            ),
            OpenApiParameter(
                "wait",
                float,
                description=f"Seconds to wait for a message if there is none, at most {LONGEST_WAIT_SECONDS:g}.",
            ),
            OpenApiParameter(
                "limit", int, description=f"Number of messages to list. At most and by default {MOST_HEADS}."
            ),
        ],
        responses=api.MessageHeads,
    )
    def get(self, request: Request, channel_id: str, topic: str) -> HttpResponseBase:
        """List the heads of a topic's messages, the oldest first. Waits for a message if there is none."""
        wanted = read_wanted(request.query_params)
        channel = self.channel(request, channel_id, topic)
        keys = readable_keys(grant_of(request), channel.pk)

        def look() -> list[dict[str, Any]] | None:
            return heads_after(channel.pk, topic, wanted.after, wanted.limit, keys) or None

        def answer(heads: list[dict[str, Any]] | None) -> dict[str, Any]:
            return {"results": heads or [], "end": end_of(channel.pk, topic, heads or [], wanted.limit, keys)}

        headers = {"Cache-Control": "no-store"}
        if takes_turns(request.META) and wanted.wait > 0:
            renderer = request.accepted_renderer

            def written(heads: list[dict[str, Any]] | None) -> bytes:
                return bytes(renderer.render(answer(heads)))  # type: ignore[arg-type]

            turns = GrantedTurns(request, LongPoll(MESSAGES, look, written, wanted.wait))
            return InTurns(turns, content_type=renderer.media_type, headers=headers)
        heads = MESSAGES.wait_for(look, wanted.wait, partial(still_granted, request))
        refuse_ended(request)
        return Response(answer(heads), headers=headers)


class ContentView(ChannelView):
    @extend_schema(operation_id="channels_messages_content", responses=_FILES)
    def get(self, request: Request, channel_id: str, topic: str, offset: int) -> HttpResponseBase:
        """Download the value of a message."""
        channel = self.channel(request, channel_id, topic)
        message = message_found(channel.pk, topic, offset, readable_keys(grant_of(request), channel.pk))
        return file_response(request, message.contents, f"{topic}-{offset}")


class ModelView(ChannelView):
    @extend_schema(
        operation_id="channels_models_put",
        parameters=[
            OpenApiParameter(
                "Content-Digest",
                str,
                OpenApiParameter.HEADER,
                description="SHA-256 of the body: `sha-256=:<base64>:` (RFC 9530).",
            )
        ],
        request=_BINARY,
        responses={201: OpenApiTypes.NONE, 204: OpenApiTypes.NONE},
    )
    def put(self, request: Request, channel_id: str, sha256: str) -> Response:
        """Store a model under its SHA-256; only a claim for it is sent over a topic."""
        channel = self.channel(request, channel_id)
        grant = grant_of(request)
        if grant is None or not may_store(grant):
            raise PermissionDenied("The role of this token may not store models here.")
        length = announced_length(request, channel.max_model_bytes)
        if announced_digest(request) not in ("", sha256):
            raise InvalidInput(faults=[Fault("/headers/Content-Digest", "must be the digest in the request's path")])
        body = IncomingBody(request, length, sha256)
        is_new = stored_model_put(channel=channel, sha256=sha256, body=body, stored_by=storer_of(grant))
        return Response(status=201 if is_new else 204)

    @extend_schema(operation_id="channels_models_get", responses=_FILES)
    def get(self, request: Request, channel_id: str, sha256: str) -> HttpResponseBase:
        """Download a stored model."""
        channel = self.channel(request, channel_id)
        model = stored_model_found(channel.pk, sha256, readable_storers(grant_of(request)))
        return file_response(request, model.contents, f"{sha256}.zip")
