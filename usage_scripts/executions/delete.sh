#!/usr/bin/env bash
# usage: delete.sh ID   (its Workflow is stopped too)
. "$(dirname "$0")/../common.sh"
api "/api/executions/${1:?id}/" --request DELETE
