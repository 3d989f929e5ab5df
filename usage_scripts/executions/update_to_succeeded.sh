#!/usr/bin/env bash
# usage: update_to_succeeded.sh ID JSON   (what the Schema produces, by registry id)
. "$(dirname "$0")/../common.sh"
api "/api/executions/${1:?id}/update_to_succeeded/" --request PATCH --form-string "data=${2:?outputs}"
