#!/usr/bin/env bash
# usage: delete.sh NAME   (deletes its executions too)
. "$(dirname "$0")/../common.sh"
api "/api/schemas/${1:?name}/" --request DELETE
