from django.urls import path, register_converter
from django.urls.converters import IntConverter

from federated.models import TOPICS
from federated.views import ContentView, MessagesView, ModelView


class TopicConverter:
    regex = f"(?:{'|'.join(TOPICS)})"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class OffsetConverter(IntConverter):
    # The largest integer of the database.
    regex = "[0-9]{1,18}"


class DigestConverter(TopicConverter):
    regex = "[0-9a-f]{64}"


register_converter(TopicConverter, "topic")
register_converter(OffsetConverter, "offset")
register_converter(DigestConverter, "sha256")

urlpatterns = [
    path("channels/<str:channel_id>/<topic:topic>/messages/", MessagesView.as_view(), name="channel-messages"),
    path(
        "channels/<str:channel_id>/<topic:topic>/messages/<offset:offset>/content/",
        ContentView.as_view(),
        name="channel-message-content",
    ),
    path("channels/<str:channel_id>/models/<sha256:sha256>/", ModelView.as_view(), name="channel-model"),
]
