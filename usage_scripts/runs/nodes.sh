#!/usr/bin/env bash
# usage: nodes.sh NAME
. "$(dirname "$0")/../common.sh"
api "/api/runs/${1:?name}/nodes/"
