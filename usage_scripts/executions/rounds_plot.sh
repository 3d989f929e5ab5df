#!/usr/bin/env bash
# usage: rounds_plot.sh ID FILE [QUERY]   (e.g. format=png&metric=auc)
. "$(dirname "$0")/../common.sh"
api "/api/executions/${1:?id}/rounds/plot/${3:+?$3}" --output "${2:?file}"
