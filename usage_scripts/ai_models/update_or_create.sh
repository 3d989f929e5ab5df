#!/usr/bin/env bash
# usage: update_or_create.sh AI_ENGINE_VERSION_ID CONTENTS_ZIP [NAME]
. "$(dirname "$0")/../common.sh"
data='{
  "ai_engine_version": '"${1:?ai engine version id}"', "name": "'"${3:-uploaded by hand}"'", "merge_type": "default",
  "description": "A model that was trained elsewhere.", "data_partners_patients": {"data-partner-1": ["1", "2"]}
}'
api /api/ai_models/update_or_create/ --form-string "data=$data" --form "contents=@${2:?zip}" \
  --form "ai_engine_version_user_vars=@$samples/user_vars.json"
