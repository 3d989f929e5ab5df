#!/usr/bin/env bash
# usage: individual_contents_download.sh ID FILE_PATH
. "$(dirname "$0")/../common.sh"
api "/api/generic_files/${1:?id}/individual_contents_download/" --get --data-urlencode "file_path=${2:?file path}"
