#!/usr/bin/env bash
# usage: download_external_data.sh ID FILE   (resumes a broken download)
. "$(dirname "$0")/../common.sh"
api "/api/executions/${1:?id}/download_external_data/" --continue-at - --output "${2:?file}"
