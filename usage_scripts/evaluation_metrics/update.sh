#!/usr/bin/env bash
# usage: update.sh ID [JSON]
. "$(dirname "$0")/../common.sh"
fields='{"value": 0.94}'
api "/api/evaluation_metrics/${1:?id}/" --request PATCH --header 'Content-Type: application/json' --data "${2:-$fields}"
