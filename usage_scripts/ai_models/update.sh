#!/usr/bin/env bash
# usage: update.sh ID [JSON]
. "$(dirname "$0")/../common.sh"
fields='{"description": "Described better."}'
api "/api/ai_models/${1:?id}/" --request PATCH --header 'Content-Type: application/json' --data "${2:-$fields}"
