#!/usr/bin/env bash
# usage: live.sh
. "$(dirname "$0")/../common.sh"
api /health/live
