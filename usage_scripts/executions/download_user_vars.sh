#!/usr/bin/env bash
# usage: download_user_vars.sh ID [DESCRIPTOR]
. "$(dirname "$0")/../common.sh"
api "/api/executions/${1:?id}/download_user_vars/?descriptor=${2:-main-ai-engine}"
