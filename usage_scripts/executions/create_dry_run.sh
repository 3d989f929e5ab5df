#!/usr/bin/env bash
# usage: create_dry_run.sh VERSION_ID   (shows the rendered Workflow and stores nothing; SCHEMA=NAME for another Schema)
. "$(dirname "$0")/../common.sh"
data='{
  "schema": "'"${SCHEMA:-training-from-scratch}"'", "input_elements": {"platform_data": {"data_partners_patients": '"$(cat "$samples/data_partners_patients.json")"'}},
  "ai_elements": {"ai_engines": [{"descriptor": "main-ai-engine", "version": '"${1:?ai engine version id}"'}]},
  "output_elements": {"ai_model": {"name": "dry", "description": ""}}
}'
api "/api/executions/?dry_run=true" --form-string "data=$data" --form "main-ai-engine_version_user_vars=@$samples/user_vars.json"
