#!/usr/bin/env bash
# usage: download_report_metadata.sh ID FILE   (resumes a broken download)
. "$(dirname "$0")/../common.sh"
api "/api/executions/${1:?id}/download_report_metadata/" --continue-at - --output "${2:?file}"
