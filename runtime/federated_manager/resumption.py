"""How a restarted role finds the state of the training in a topic."""

import time

from runtime.federated_manager.channel.base import Channel, Message
from runtime.federated_manager.errors import ChannelError
from runtime.federated_manager.messages import Topic

PATIENCE_SECONDS = 60.0


def last_message(channel: Channel, topic: Topic) -> Message | None:
    """Return a topic's last message, None when it has none; the next read gives the messages after it."""
    if not channel.skip_to_last(topic):
        return None
    deadline = time.monotonic() + PATIENCE_SECONDS
    found: Message | None = None
    while time.monotonic() < deadline:
        message = channel.read(topic, 0 if found else 1.0)
        if message is None and found is not None:
            return found
        if message is not None:
            if found is not None:
                found.discard()
            found = message
    if found is None:
        raise ChannelError(f"the last message of {topic.value} cannot be read")
    return found
