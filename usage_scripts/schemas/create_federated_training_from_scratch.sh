#!/usr/bin/env bash
# usage: create_federated_training_from_scratch.sh NAME   (SCHEMA=NAME executions/create_federated_training_from_scratch.sh … runs it)
. "$(dirname "$0")/../common.sh"
schema_like training-from-scratch-federated-learning "${1:?name}"
