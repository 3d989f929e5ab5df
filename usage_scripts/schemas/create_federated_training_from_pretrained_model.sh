#!/usr/bin/env bash
# usage: create_federated_training_from_pretrained_model.sh NAME   (SCHEMA=NAME executions/create_federated_training_from_pretrained_model.sh … runs it)
. "$(dirname "$0")/../common.sh"
schema_like training-from-pretrained-model-federated-learning "${1:?name}"
