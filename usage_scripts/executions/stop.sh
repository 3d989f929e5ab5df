#!/usr/bin/env bash
# usage: stop.sh ID   (keeps the record)
. "$(dirname "$0")/../common.sh"
api "/api/executions/${1:?id}/stop/" --request POST
