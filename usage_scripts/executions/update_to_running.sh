#!/usr/bin/env bash
# usage: update_to_running.sh ID
. "$(dirname "$0")/../common.sh"
api "/api/executions/${1:?id}/update_to_running/" --request PATCH --form-string 'data={}'
