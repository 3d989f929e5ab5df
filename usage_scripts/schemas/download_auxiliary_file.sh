#!/usr/bin/env bash
# usage: download_auxiliary_file.sh NAME
. "$(dirname "$0")/../common.sh"
api "/api/schemas/${1:?name}/download_auxiliary_file/"
