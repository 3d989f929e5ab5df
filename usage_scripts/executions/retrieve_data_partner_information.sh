#!/usr/bin/env bash
# usage: retrieve_data_partner_information.sh ID [DATA_PARTNER]
. "$(dirname "$0")/../common.sh"
api "/api/executions/${1:?id}/retrieve_data_partner_information/?data_partner=${2:-data-partner-1}"
