#!/usr/bin/env bash
# usage: openapi.sh
. "$(dirname "$0")/../common.sh"
api /api/schema/
