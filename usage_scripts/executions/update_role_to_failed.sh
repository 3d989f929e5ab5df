#!/usr/bin/env bash
# usage: update_role_to_failed.sh ID [DATA_PARTNER] [MESSAGE]   (the server's failure without a data partner)
. "$(dirname "$0")/../common.sh"
api "/api/executions/${1:?id}/update_role_to_failed/${2:+?data_partner=$2}" \
  --request PATCH --form-string 'data={"message": "'"${3:-given up by hand}"'"}'
