#!/usr/bin/env bash
# usage: create_inferencing_with_report_metadata.sh NAME   (SCHEMA=NAME executions/create_inferencing_with_report_metadata.sh … runs it)
. "$(dirname "$0")/../common.sh"
schema_like inferencing-from-pretrained-model-with-report-metadata "${1:?name}"
