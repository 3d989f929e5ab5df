#!/usr/bin/env bash
# usage: create_training_from_scratch.sh NAME   (SCHEMA=NAME executions/create_training_from_scratch.sh … runs it)
. "$(dirname "$0")/../common.sh"
schema_like training-from-scratch "${1:?name}"
