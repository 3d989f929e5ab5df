#!/usr/bin/env bash
# usage: delete.sh ID
. "$(dirname "$0")/../common.sh"
api "/api/generic_files/${1:?id}/" --request DELETE
