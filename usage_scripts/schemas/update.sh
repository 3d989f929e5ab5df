#!/usr/bin/env bash
# usage: update.sh NAME MANIFEST_YAML ['{"description": "…"}']   (the Schema's next version)
. "$(dirname "$0")/../common.sh"
fields='{}'
api "/api/schemas/${1:?name}/" --request PATCH \
  --form-string "data=${3:-$fields}" --form "auxiliary_file=@${2:?manifest}"
