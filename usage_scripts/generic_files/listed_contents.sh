#!/usr/bin/env bash
# usage: listed_contents.sh ID
. "$(dirname "$0")/../common.sh"
api "/api/generic_files/${1:?id}/listed_contents/"
