#!/usr/bin/env bash
# usage: download_default_user_vars.sh ID [FUNCTIONALITY]
. "$(dirname "$0")/../common.sh"
api "/api/ai_engines_versions/${1:?id}/download_default_user_vars_${2:-training_from_scratch}/"
