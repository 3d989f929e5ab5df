#!/usr/bin/env bash
# usage: retrieve_workflow_parameter.sh ID [NAME]
. "$(dirname "$0")/../common.sh"
api "/api/executions/${1:?id}/retrieve_workflow_parameter/?name=${2:-execution_dataPartnerPatients}"
