#!/usr/bin/env bash
# Makes ready what tests/services/kubernetes.py starts: etcd from Debian, kube-apiserver from its public Go modules (some
# minutes the first time, then kept outside of the checkout).
set -euo pipefail

version=v1.34.4
home=${CLUSTER_HOME:-$HOME/.cache/orchestrator-cluster}
program=$home/bin/kube-apiserver

if ! command -v etcd >/dev/null; then
    sudo=()
    [ "$(id -u)" -eq 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends etcd-server >/dev/null
fi

mkdir -p "$home/bin"
exec 9>"$home/lock"
flock 9 # Two that start at once build once.
if [ -x "$program" ] && [ "$("$program" --version)" = "Kubernetes $version" ]; then
    exit 0
fi
command -v go >/dev/null || { echo "Go is needed to build kube-apiserver (https://go.dev/dl/)." >&2; exit 1; }

work=$(mktemp -d "$home/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
echo "Building kube-apiserver $version into $home/bin ..." >&2
go mod init build 2>/dev/null
go mod edit -require "k8s.io/kubernetes@$version"
# Kubernetes names its staging modules v0.0.0 and publishes them as v0.x of the same number.
of_kubernetes=$(go mod download -json "k8s.io/kubernetes@$version" | sed -n 's/.*"GoMod": "\(.*\)",/\1/p')
awk '$2 == "v0.0.0" && $1 ~ /^k8s.io\// { print $1 }' "$of_kubernetes" | sort -u | while read -r module; do
    go mod edit -replace "$module=$module@v0.${version#v1.}"
done
prefix=k8s.io/component-base/version
CGO_ENABLED=0 go build -mod=mod -trimpath -o "$work/kube-apiserver" \
    -ldflags="-s -w -X $prefix.gitVersion=$version -X $prefix.gitMajor=1 -X $prefix.gitMinor=34" \
    k8s.io/kubernetes/cmd/kube-apiserver
mv "$work/kube-apiserver" "$program"
