#!/usr/bin/env bash
# usage: logs.sh NAME ['node=STEP&tail=100&grep=TEXT&follow=true']
. "$(dirname "$0")/../common.sh"
api "/api/runs/${1:?name}/logs/?${2:-}" --no-buffer
