#!/usr/bin/env bash
# usage: register_sample.sh   (prints the id of the sample AI engine's version; registers it if the demo has not)
. "$(dirname "$0")/../common.sh"
engine=$(api '/api/ai_engines/?name=Sample%20AI%20engine' | "$here/field.sh" results.0.id)
[ -n "$engine" ] || engine=$("$here/ai_engines/create.sh" "Sample AI engine" | "$here/field.sh" id)
version=$(api "/api/ai_engines_versions/?ai_engine=$engine&container_version=1.0.0" | "$here/field.sh" results.0.id)
[ -n "$version" ] || version=$("$here/ai_engines_versions/create.sh" "$engine" | "$here/field.sh" id)
echo "$version"
