#!/usr/bin/env bash
# usage: create_without_starting.sh VERSION_ID   (debug: stored, not started)
. "$(dirname "$0")/../common.sh"
data='{
  "schema": "training-from-scratch", "input_elements": {"platform_data": {"data_partners_patients": '"$(cat "$samples/data_partners_patients.json")"'}},
  "ai_elements": {"ai_engines": [{"descriptor": "main-ai-engine", "version": '"${1:?ai engine version id}"'}]},
  "output_elements": {"ai_model": {"name": "not started", "description": ""}}
}'
api "/api/executions/?debug=true" --form-string "data=$data" --form "main-ai-engine_version_user_vars=@$samples/user_vars.json"
