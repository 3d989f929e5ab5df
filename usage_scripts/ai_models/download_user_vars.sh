#!/usr/bin/env bash
# usage: download_user_vars.sh ID
. "$(dirname "$0")/../common.sh"
api "/api/ai_models/${1:?id}/download_ai_engine_version_user_vars/"
