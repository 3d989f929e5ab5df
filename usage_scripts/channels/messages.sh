#!/usr/bin/env bash
# The messages in a topic of an open channel (execution_communicationAdapterId in the manifest of a federated training's run).
# usage: messages.sh CHANNEL status|models_to_manager|models_to_clients [QUERY]   (e.g. after=3&wait=10)
. "$(dirname "$0")/../common.sh"
api "/api/channels/${1:?channel}/${2:?topic}/messages/${3:+?$3}"
