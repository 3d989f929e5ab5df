#!/usr/bin/env bash
# usage: manifest.sh NAME
. "$(dirname "$0")/../common.sh"
api "/api/runs/${1:?name}/manifest/"
