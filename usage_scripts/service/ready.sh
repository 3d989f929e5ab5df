#!/usr/bin/env bash
# usage: ready.sh
. "$(dirname "$0")/../common.sh"
api /health/ready
