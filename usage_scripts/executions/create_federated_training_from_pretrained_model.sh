#!/usr/bin/env bash
# usage: create_federated_training_from_pretrained_model.sh VERSION_ID MODEL_ID [ROUNDS] [MODEL_NAME]
. "$(dirname "$0")/../common.sh"
entry=$(cat "$samples/data_partners_patients.json")
entry=${entry#*:}
entry=${entry%\}}
data='{
  "schema": "'"${SCHEMA:-training-from-pretrained-model-federated-learning}"'",
  "input_elements": {
    "platform_data": {"data_partners_patients": {"data-partner-2": '"$entry"', "data-partner-1": '"$entry"'}},
    "federated_learning_configuration": {
      "number_iterations": '"${3:-1}"', "on_missing_clients": "continue", "minimum_clients": 1, "aggregation": "engine"}},
  "ai_elements": {"ai_engines": [
    {"descriptor": "main-ai-engine", "version": '"${1:?ai engine version id}"', "ai_model": '"${2:?ai model id}"'}]},
  "output_elements": {"ai_model": {"name": "'"${4:-by curl, together, further, ${IDEMPOTENCY_KEY:-$(date +%FT%T)}}"'", "description": "Trained on by a curl script."}}
}'
api "/api/executions/" --form-string "data=$data" --form "main-ai-engine_version_user_vars=@$samples/user_vars.json"
