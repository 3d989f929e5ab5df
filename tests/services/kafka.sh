#!/usr/bin/env bash
# Makes ready what tests/services/kafka.py starts: Kafka's jars from Maven Central, kept outside of the checkout.
set -euo pipefail

version=3.9.1
home=${KAFKA_CACHE:-$HOME/.cache/orchestrator-kafka}
target=$home/kafka_2.13-$version

mkdir -p "$home"
exec 9>"$home/lock"
flock 9 # Two that start at once fetch once.
[ ! -d "$target" ] || exit 0
for program in java mvn; do
    command -v "$program" >/dev/null || { echo "$program is needed (Java 17 and Maven)." >&2; exit 1; }
done

work=$(mktemp -d "$home/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>$version</version>
    </dependency>
  </dependencies>
</project>
POM
echo "Fetching Kafka $version into $target ..." >&2
mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DoutputDirectory="$work/libs" >&2
mv "$work/libs" "$target"
