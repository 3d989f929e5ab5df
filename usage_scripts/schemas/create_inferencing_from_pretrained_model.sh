#!/usr/bin/env bash
# usage: create_inferencing_from_pretrained_model.sh NAME   (SCHEMA=NAME executions/create_inferencing_from_pretrained_model.sh … runs it)
. "$(dirname "$0")/../common.sh"
schema_like inferencing-from-pretrained-model "${1:?name}"
