#!/usr/bin/env bash
# usage: get.sh ID
. "$(dirname "$0")/../common.sh"
api "/api/generic_files/${1:?id}/"
