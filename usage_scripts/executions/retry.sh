#!/usr/bin/env bash
# usage: retry.sh ID ['schema_version=2']   (one that has failed, as its next attempt)
. "$(dirname "$0")/../common.sh"
api "/api/executions/${1:?id}/retry/?${2:-}" --request POST
