#!/usr/bin/env bash
# usage: rounds.sh ID [QUERY]   (e.g. attempt=1)
. "$(dirname "$0")/../common.sh"
api "/api/executions/${1:?id}/rounds/${2:+?$2}"
