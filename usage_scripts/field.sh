#!/usr/bin/env bash
# usage: ... | field.sh results.0.id   (prints one value of the JSON document on stdin; nothing where it is missing)
exec python3 -c '
import json, sys
value = json.load(sys.stdin)
for part in sys.argv[1].split("."):
    try:
        value = value[int(part)] if isinstance(value, list) else value[part]
    except (IndexError, KeyError):
        sys.exit()
print(value if isinstance(value, str) else json.dumps(value))
' "${1:?field}"
