# The service's address and a token for every script here. Source this file; it runs nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${ORCHESTRATOR_URL:=http://127.0.0.1:8900}"
: "${ORCHESTRATOR_TOKEN:=$(cat "${DATA_DIR:-$here/../var}/token")}"
samples=$here/samples

# Call the API: prints the answer's body, and fails on an HTTP error after printing the service's answer.
api() {
  local path=$1
  shift
  curl --silent --show-error --fail-with-body --globoff --header "Authorization: Bearer $ORCHESTRATOR_TOKEN" "$@" "$ORCHESTRATOR_URL$path"
}

# Create a Schema with a new name from the document and the manifest of a shipped one; prints the Schema.
schema_like() {
  local shipped=$here/../templates/manifests/$1 document
  document=$(python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin) | {"name": sys.argv[1]}))' "$2" <"$shipped.json")
  api /api/schemas/ --form-string "data=$document" --form "auxiliary_file=@$shipped.yaml"
}

# Post an execution of a joint breast cancer pipeline, in which one version and one model serve all five AI engines.
breast_cancer_pipeline() {
  local schema=$1 version=$2 model=$3 external_data=$4 engines="" parts=() descriptor
  for descriptor in breast-density breast-density-explanation birads birads-explanation medical-report; do
    engines+=${engines:+,}'{"descriptor": "'"$descriptor"'", "version": '"$version"', "ai_model": '"$model"'}'
    parts+=(--form "${descriptor}_version_user_vars=@$samples/user_vars.json")
  done
  api /api/executions/ --form-string 'data={"schema": "'"$schema"'", "ai_elements": {"ai_engines": ['"$engines"']}}' \
    --form "external_data=@$external_data" --form "report_metadata=@$samples/report_metadata.json" "${parts[@]}"
}
