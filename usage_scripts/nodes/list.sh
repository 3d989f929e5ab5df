#!/usr/bin/env bash
# usage: list.sh ['partner=data-partner-1&ready=true']
. "$(dirname "$0")/../common.sh"
api "/api/nodes/?${1:-}"
