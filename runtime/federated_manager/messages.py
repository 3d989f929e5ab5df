"""The protocol's topics, keys and headers (contracts/federated-protocol.md), as functions of plain values."""

import json
from collections.abc import Mapping
from enum import Enum
from urllib.parse import quote

SEPARATOR = "///MESSAGE_SEP///"

# Headers of the protocol.
NAME = "message_name"
ITERATION = "iteration_index"
# Further headers, which other implementations neither send nor read.
BLAKE3 = "blake3"
SHA256 = "sha256"
REASON = "failure_reason"
CLAIM = "claim_check"
# The most bytes of a reason in a header: HTTP servers take lines of some 8,000 bytes.
REASON_LIMIT = 4000
_CUT = "..."
MODEL_PREFIX = "model_"
NAME_LIMIT = 200

MANAGER_READY = "manager_initialization"
CLIENT_READY = "client_initialization"
ENDED = "ended_iteration"
START = "start_iteration"


class Topic(Enum):
    """The three topics of a channel; `status` is shared by all channels."""

    STATUS = "status"
    TO_MANAGER = "models_to_manager"
    TO_CLIENTS = "models_to_clients"

    def of(self, channel_id: str) -> str:
        """Return the topic's name in a broker."""
        return self.value if self is Topic.STATUS else f"{channel_id}_{self.value}"


def client_key(channel_id: str, client: str) -> str:
    """Return the key of a client's messages."""
    return f"{channel_id}{SEPARATOR}{client}"


def client_of(channel_id: str, key: str) -> str | None:
    """Return the client whose message has this key, None when the key is not one of a client of this channel."""
    prefix = f"{channel_id}{SEPARATOR}"
    return key[len(prefix) :] if key.startswith(prefix) and len(key) > len(prefix) else None


def is_safe_name(client: str) -> bool:
    """Return whether a client's id can name a file: files are named after ids that others send."""
    # Lone surrogates cannot be encoded.
    length = len(client.encode(errors="ignore"))
    is_encodable = client == client.encode(errors="ignore").decode()
    is_short = 0 < length <= NAME_LIMIT
    return is_encodable and is_short and client not in (".", "..") and not set(client) & {"/", "\\", "\0"}


def iteration_of(headers: Mapping[str, str]) -> int | None:
    """Return the message's round, None when it has none or a malformed one."""
    text = headers.get(ITERATION, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def reason_header(reason: str) -> dict[str, str]:
    """Return the header with the sender's reason, cut to a length that every channel accepts in any script.

    Characters that channels cannot carry (lone surrogates, control characters) are dropped.
    """
    text = "".join(char for char in " ".join(reason.split()) if char.isprintable())
    room = REASON_LIMIT - len(_CUT)
    for index, char in enumerate(text):
        # As the channel over HTTP writes it, which is the longest form.
        room -= len(quote(json.dumps(char)[1:-1]))
        if room < 0:
            return {REASON: text[:index] + _CUT}
    return {REASON: text} if text else {}


def reason_of(headers: Mapping[str, str]) -> str:
    """Return why the sender failed; other implementations give no reason."""
    return headers.get(REASON) or "it gave no reason"
