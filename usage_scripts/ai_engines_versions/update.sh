#!/usr/bin/env bash
# usage: update.sh ID [JSON]
. "$(dirname "$0")/../common.sh"
fields='{"description": "The first version, described better."}'
api "/api/ai_engines_versions/${1:?id}/" --request PATCH --header 'Content-Type: application/json' --data "${2:-$fields}"
