# What every script here needs: where the service is, and a token. Source it; it runs nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${ORCHESTRATOR_URL:=http://127.0.0.1:8900}"
: "${ORCHESTRATOR_TOKEN:=$(cat "${DATA_DIR:-$here/../var}/token")}"
samples=$here/samples

# Call the API: prints the answer's body, and fails on an HTTP error after printing what the service said.
api() {
  local path=$1
  shift
  curl --silent --show-error --fail-with-body --globoff --header "Authorization: Bearer $ORCHESTRATOR_TOKEN" "$@" "$ORCHESTRATOR_URL$path"
}
