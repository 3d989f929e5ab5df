#!/usr/bin/env bash
# usage: create.sh SCHEMA_JSON MANIFEST_YAML
. "$(dirname "$0")/../common.sh"
api /api/schemas/ --form "data=<${1:?schema document}" --form "auxiliary_file=@${2:?manifest}"
