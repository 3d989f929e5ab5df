#!/usr/bin/env bash
# usage: create.sh CONTENTS_ZIP [NAME]
. "$(dirname "$0")/../common.sh"
api /api/generic_files/ --form-string 'data={"name": "'"${2:-results}"'"}' --form "contents=@${1:?zip}"
