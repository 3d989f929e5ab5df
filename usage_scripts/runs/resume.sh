#!/usr/bin/env bash
# usage: resume.sh NAME [NODE]   (of a suspended run; without NODE it goes on from every node that it waits at)
. "$(dirname "$0")/../common.sh"
api "/api/runs/${1:?name}/resume/" --header "Content-Type: application/json" \
  --data "$(python3 -c 'import json, sys; print(json.dumps({"node": sys.argv[1]} if sys.argv[1:] else {}))' "${@:2}")"
