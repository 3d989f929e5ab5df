#!/usr/bin/env bash
# usage: update.sh NAME MANIFEST_YAML ['{"description": "…"}']   (stores the next version)
. "$(dirname "$0")/../common.sh"
api "/api/schemas/${1:?name}/" --request PATCH --form "auxiliary_file=@${2:?manifest}" ${3:+--form-string "data=$3"}
