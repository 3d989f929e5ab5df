#!/usr/bin/env bash
# usage: update.sh ID [JSON]
. "$(dirname "$0")/../common.sh"
fields='{"caveats": "A sample, not for patients."}'
api "/api/ai_engines/${1:?id}/" --request PATCH --header 'Content-Type: application/json' --data "${2:-$fields}"
