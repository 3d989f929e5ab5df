#!/usr/bin/env bash
# usage: update_or_create.sh AI_MODEL_ID [NAME] [VALUE]
. "$(dirname "$0")/../common.sh"
api /api/evaluation_metrics/update_or_create/ --json '{
  "ai_model": '"${1:?ai model id}"', "name": "'"${2:-auc}"'", "value": '"${3:-0.93}"',
  "description": "", "data_partners_patients": {"data-partner-2": ["7", "8"]}
}'
