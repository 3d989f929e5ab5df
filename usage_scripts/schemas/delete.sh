#!/usr/bin/env bash
# usage: delete.sh NAME   (its executions go with it)
. "$(dirname "$0")/../common.sh"
api "/api/schemas/${1:?name}/" --request DELETE
