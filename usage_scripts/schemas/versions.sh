#!/usr/bin/env bash
# usage: versions.sh NAME
. "$(dirname "$0")/../common.sh"
api "/api/schemas/${1:?name}/versions/"
