#!/usr/bin/env bash
# usage: list.sh ['state=failed&schema=training-from-scratch&sort=-created_at']
. "$(dirname "$0")/../common.sh"
api "/api/executions/?${1:-}"
