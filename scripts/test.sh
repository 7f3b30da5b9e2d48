#!/usr/bin/env bash
# Creates .venv if it is missing, installs fusejax with the test extra and runs the tests and the linters.
# Usage: bash scripts/test.sh [--fast] [pytest arguments]
# --fast                      only the quick tests, in under two minutes: none that takes more than about a second
# FUSEJAX_DATA=DIR            also run the tests on the real pairs in that folder
# FUSEJAX_EXTRAS=test,bench   also install PyTorch (CPU) and compare the network with its PyTorch twin
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup_venv.sh
install_fusejax "${FUSEJAX_EXTRAS:-test}"
export JAX_PLATFORMS=${JAX_PLATFORMS:-cpu}
selection=()
if [ "${1:-}" = --fast ]; then
  shift
  selection=(-m "not slow")
fi
# The linters run beside the tests, since the type checker uses one core for most of a minute; they report at the end.
said=$(mktemp)
bash scripts/lint.sh >"$said" 2>&1 &
linters=$!
trap 'kill "$linters" 2>/dev/null || true; rm -f "$said"' EXIT
status=0
# Two at a time, one for each core; three were no faster. In the order of tests/conftest.py: long files first.
.venv/bin/python -m pytest -q -rs -n 2 --dist loadfile --no-loadscope-reorder --durations=15 "${selection[@]}" "$@" || status=$?
wait "$linters" || status=1
cat "$said"
exit "$status"
