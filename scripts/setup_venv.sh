# Sourced by the other scripts: creates .venv in the repository and installs fusejax with the extras given in "$1".
# Uses the newest Python >= 3.11 on the PATH, or the one named by PYTHON.
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
  local extras=$1 python requirement
  requirement=.${extras:+[$extras]}
  if [ ! -x .venv/bin/python ]; then
    python=$(find_python) || return 1
    "$python" -m venv .venv || {
      echo "$python could not create a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2
      return 1
    }
  fi
  # The constraints pin the versions with which the tests passed on Python 3.11; newer Pythons resolve the ranges.
  local constraints=()
  if .venv/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
    constraints=(--constraint constraints.txt)
  fi
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable "$requirement" "${constraints[@]}"
}
