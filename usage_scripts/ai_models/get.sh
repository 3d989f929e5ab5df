#!/usr/bin/env bash
# usage: get.sh ID
. "$(dirname "$0")/../common.sh"
api "/api/ai_models/${1:?id}/"
