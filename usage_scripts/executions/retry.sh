#!/usr/bin/env bash
# usage: retry.sh ID ['schema_version=2']   (begins the next attempt of a failed execution)
. "$(dirname "$0")/../common.sh"
api "/api/executions/${1:?id}/retry/?${2:-}" --request POST
