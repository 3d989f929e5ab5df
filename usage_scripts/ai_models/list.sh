#!/usr/bin/env bash
# usage: list.sh ['page=1&page_size=10&sort=-created_at&FIELD=VALUE']
. "$(dirname "$0")/../common.sh"
api "/api/ai_models/?${1:-}"
