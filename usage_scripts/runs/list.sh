#!/usr/bin/env bash
# usage: list.sh ['phase=running']
. "$(dirname "$0")/../common.sh"
api "/api/runs/?${1:-}"
