#!/usr/bin/env bash
# usage: update_to_failed.sh ID [MESSAGE]
. "$(dirname "$0")/../common.sh"
api "/api/executions/${1:?id}/update_to_failed/" --request PATCH --form-string 'data={"message": "'"${2:-given up by hand}"'"}'
