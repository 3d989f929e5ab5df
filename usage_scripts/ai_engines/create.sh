#!/usr/bin/env bash
# usage: create.sh NAME [CONTAINER_NAME]
. "$(dirname "$0")/../common.sh"
api /api/ai_engines/ --json '{
  "name": "'"${1:?name}"'",
  "container_name": "'"${2:-sample-ai-engine}"'",
  "owner": "orchestrator", "description": "A linear classifier over tabular data.",
  "data_type": ["tabular"], "role_type": "main", "data_considerations": "", "trl": "4",
  "ethics": "", "caveats": "", "metrics": "accuracy, AUC", "license": "Apache-2.0"
}'
