#!/usr/bin/env bash
# usage: events.sh NAME
. "$(dirname "$0")/../common.sh"
api "/api/runs/${1:?name}/events/"
