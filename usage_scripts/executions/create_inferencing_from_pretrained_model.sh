#!/usr/bin/env bash
# usage: create_inferencing_from_pretrained_model.sh VERSION_ID MODEL_ID EXTERNAL_DATA_ZIP
. "$(dirname "$0")/../common.sh"
data='{
  "schema": "'"${SCHEMA:-inferencing-from-pretrained-model}"'",
  "ai_elements": {"ai_engines": [
    {"descriptor": "main-ai-engine", "version": '"${1:?ai engine version id}"', "ai_model": '"${2:?ai model id}"'}]}
}'
api "/api/executions/" --form-string "data=$data" \
  --form "external_data=@${3:?zip}" --form "main-ai-engine_version_user_vars=@$samples/user_vars.json"
