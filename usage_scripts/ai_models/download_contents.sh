#!/usr/bin/env bash
# usage: download_contents.sh ID FILE   (resumes a broken download)
. "$(dirname "$0")/../common.sh"
api "/api/ai_models/${1:?id}/download_contents/" --continue-at - --output "${2:?file}"
