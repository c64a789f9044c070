#!/usr/bin/env bash
# Load calls into DuckDB, from the state of the last run. Ctrl-C stops only the tap: it emits its last
# state and exits. Then the target stores all records that it received. Exit code: 0 if both succeeded.
set -o pipefail

# The target wrote the state of the records that it has stored, even if the last run was killed.
# A line that was cut off does not count.
if [ -s states.jsonl ]; then
  state=
  while IFS= read -r line; do state=$line; done <states.jsonl
  [ -z "$state" ] || { printf '%s\n' "$state" >state.json.new && mv state.json.new state.json; } || exit
fi

# The target is in a session of its own: targets of the Singer SDK end at Ctrl-C, even if it is ignored.
tap-zohovoice --config config.json $([ ! -s state.json ] || echo --state state.json) |
  (trap '' HUP INT TERM && exec python3 -c 'import os, sys; os.setsid(); os.execvp("env", ["env", *sys.argv[1:]])' \
    target-duckdb --config target.json) >states.jsonl
