#!/usr/bin/env bash
# usage: list.sh ['type=individual&sort=name']
. "$(dirname "$0")/../common.sh"
api "/api/schemas/?${1:-}"
