#!/usr/bin/env bash
# usage: progress.sh ID [STEP] [ROUND]   (what a federated manager reports)
. "$(dirname "$0")/../common.sh"
api "/api/executions/${1:?id}/progress/" --json '{"role": "server", "client": "", "step": "'"${2:-gathering}"'", "round": '"${3:-0}"'}'
