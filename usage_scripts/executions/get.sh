#!/usr/bin/env bash
# usage: get.sh ID
. "$(dirname "$0")/../common.sh"
api "/api/executions/${1:?id}/"
