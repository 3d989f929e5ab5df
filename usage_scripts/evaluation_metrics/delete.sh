#!/usr/bin/env bash
# usage: delete.sh ID
. "$(dirname "$0")/../common.sh"
api "/api/evaluation_metrics/${1:?id}/" --request DELETE
