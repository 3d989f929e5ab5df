#!/usr/bin/env bash
# usage: create_evaluating_from_pretrained_model.sh VERSION_ID MODEL_ID
. "$(dirname "$0")/../common.sh"
data='{
  "schema": "'"${SCHEMA:-evaluating-from-pretrained-model}"'", "input_elements": {"platform_data": {"data_partners_patients": '"$(cat "$samples/data_partners_patients.json")"'}},
  "ai_elements": {"ai_engines": [
    {"descriptor": "main-ai-engine", "version": '"${1:?ai engine version id}"', "ai_model": '"${2:?ai model id}"'}]}
}'
api "/api/executions/" --form-string "data=$data" --form "main-ai-engine_version_user_vars=@$samples/user_vars.json"
