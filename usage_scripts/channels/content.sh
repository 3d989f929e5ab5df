#!/usr/bin/env bash
# The value of one message: a model as a zip, metrics as JSON, or a word.
# usage: content.sh CHANNEL TOPIC OFFSET FILE
. "$(dirname "$0")/../common.sh"
api "/api/channels/${1:?channel}/${2:?topic}/messages/${3:?offset}/content/" --output "${4:?file}"
