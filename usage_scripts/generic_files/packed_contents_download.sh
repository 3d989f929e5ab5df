#!/usr/bin/env bash
# usage: packed_contents_download.sh ID FILE
. "$(dirname "$0")/../common.sh"
api "/api/generic_files/${1:?id}/packed_contents_download/" --output "${2:?file}"
