#!/usr/bin/env bash
# Load calls into DuckDB, and go on where the last run stopped. Ctrl-C stops the tap alone: it writes
# its last state and ends, and then the target stores what came. Exit code: 0 if both succeeded.
set -o pipefail

# What the target wrote is the state of what it has stored, even if the last run was killed.
if [ -s states.jsonl ]; then
  tail -n 1 states.jsonl >state.json.new && mv state.json.new state.json || exit
fi

tap-zohovoice --config config.json $([ ! -s state.json ] || echo --state state.json) |
  (trap '' HUP INT TERM && exec target-duckdb --config target.json) >states.jsonl
