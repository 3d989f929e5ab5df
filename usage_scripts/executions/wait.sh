#!/usr/bin/env bash
# usage: wait.sh ID   (until it has ended; fails unless it succeeded)
. "$(dirname "$0")/../common.sh"
while :; do
  status=$(api "/api/executions/${1:?id}/" | python3 -c 'import json, sys; print(json.load(sys.stdin)["state"]["status"])')
  case $status in
    succeeded) exit 0 ;;
    failed) api "/api/executions/$1/"; exit 1 ;;
  esac
  sleep 0.3
done
