#!/usr/bin/env bash
# usage: create.sh AI_ENGINE_ID [CONTAINER_VERSION]
. "$(dirname "$0")/../common.sh"
data='{
  "ai_engine": '"${1:?ai engine id}"', "container_version": "'"${2:-1.0.0}"'", "description": "First version.",
  "functionalities": ["training_from_scratch", "training_from_pretrained_model",
                      "evaluating_from_pretrained_model", "merging_models", "inferencing_from_pretrained_model"],
  "explains": false, "max_iteration_time": 600, "memory_request": "256Mi", "memory_limit": "1024Mi"
}'
api /api/ai_engines_versions/ --form-string "data=$data" \
  --form "default_user_vars_training_from_scratch=@$samples/user_vars.json" \
  --form "default_user_vars_training_from_pretrained_model=@$samples/user_vars.json" \
  --form "default_user_vars_evaluating_from_pretrained_model=@$samples/user_vars.json" \
  --form "default_user_vars_merging_models=@$samples/user_vars.json" \
  --form "default_user_vars_inferencing_from_pretrained_model=@$samples/user_vars.json"
