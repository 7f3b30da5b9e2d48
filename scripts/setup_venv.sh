#!/usr/bin/env bash
# Creates .venv in the repository if it is missing and installs fusejax there, editable, with extras.
#
#   bash scripts/setup_venv.sh [EXTRAS [REQUIREMENT ...]]
#
#   bash scripts/setup_venv.sh                        # what fusing and training need
#   bash scripts/setup_venv.sh test                   # and the tests
#   bash scripts/setup_venv.sh "" "jax[cuda13]"       # training on NVIDIA GPUs
#   bash scripts/setup_venv.sh gcs "jax[tpu]"         # training on TPUs, with checkpoints in gs://
#
# PYTHON=/path/to/python  interpreter; by default the newest Python >= 3.11 on the PATH
# FUSEJAX_NEWEST=1        the newest versions of all packages, not those in constraints/
#
# The other scripts source this file and call install_fusejax.
find_python() {
  local candidate
  for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
    if command -v "$candidate" >/dev/null 2>&1 &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      echo "$candidate"
      return 0
    fi
  done
  echo "No Python >= 3.11 found (looked for: ${PYTHON:-python3.13 python3.12 python3.11 python3 python}). Install one, or set its path: PYTHON=/path/to/python bash $0" >&2
  return 1
}

install_fusejax() {
  local extras=$1 python requirement version
  shift
  requirement=.${extras:+[$extras]}
  if [ ! -x .venv/bin/python ]; then
    python=$(find_python) || return 1
    echo "creating .venv with $("$python" --version)" >&2
    "$python" -m venv .venv || {
      echo "$python could not create a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2
      return 1
    }
  fi
  # The constraints hold one resolved set of versions per Python, for CI and users alike; others get the newest.
  version=$(.venv/bin/python -c 'import sys; print("%d%d" % sys.version_info[:2])')
  local constraints=() which="the newest versions"
  if [ -z "${FUSEJAX_NEWEST:-}" ] && [ -f "constraints/py$version.txt" ]; then
    constraints=(--constraint "constraints/py$version.txt") which="the versions in constraints/py$version.txt"
  fi
  echo "installing fusejax${extras:+ with $extras}${*:+ and $*}, $which (0.5 GB to 3 GB; minutes the first time)" >&2
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable "$requirement" "$@" "${constraints[@]}"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  set -euo pipefail
  cd "$(dirname "$0")/.."
  install_fusejax "${1:-}" "${@:2}"
  echo "ready: source .venv/bin/activate; fusejax --help" >&2
fi
