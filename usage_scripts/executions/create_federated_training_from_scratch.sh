#!/usr/bin/env bash
# usage: create_federated_training_from_scratch.sh VERSION_ID [ROUNDS] [MODEL_NAME]   (both partners have the sample patients)
. "$(dirname "$0")/../common.sh"
entry=$(cat "$samples/data_partners_patients.json")
entry=${entry#*:}
entry=${entry%\}}
data='{
  "schema": "'"${SCHEMA:-training-from-scratch-federated-learning}"'",
  "input_elements": {
    "platform_data": {"data_partners_patients": {"data-partner-2": '"$entry"', "data-partner-1": '"$entry"'}},
    "federated_learning_configuration": {"number_iterations": '"${2:-2}"', "round_deadline_seconds": 300}},
  "ai_elements": {"ai_engines": [{"descriptor": "main-ai-engine", "version": '"${1:?ai engine version id}"'}]},
  "output_elements": {"ai_model": {"name": "'"${3:-by curl, together, ${IDEMPOTENCY_KEY:-$(date +%FT%T)}}"'", "description": "Trained by a curl script."}}
}'
api "/api/executions/" --form-string "data=$data" \
  --header "Idempotency-Key: ${IDEMPOTENCY_KEY:-$(date +%s%N)}" --form "main-ai-engine_version_user_vars=@$samples/user_vars.json"
