#!/usr/bin/env bash
# usage: create_training_from_scratch.sh VERSION_ID [MODEL_NAME]
. "$(dirname "$0")/../common.sh"
data='{
  "schema": "'"${SCHEMA:-training-from-scratch}"'", "input_elements": {"platform_data": {"data_partners_patients": '"$(cat "$samples/data_partners_patients.json")"'}},
  "ai_elements": {"ai_engines": [{"descriptor": "main-ai-engine", "version": '"${1:?ai engine version id}"'}]},
  "output_elements": {"ai_model": {"name": "'"${2:-by curl, ${IDEMPOTENCY_KEY:-$(date +%FT%T)}}"'", "description": "Trained by a curl script."}}
}'
api "/api/executions/" --form-string "data=$data" \
  --header "Idempotency-Key: ${IDEMPOTENCY_KEY:-$(date +%s%N)}" --form "main-ai-engine_version_user_vars=@$samples/user_vars.json"
