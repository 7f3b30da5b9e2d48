#!/usr/bin/env bash
# Builds the documentation to docs/_build/html: runs the notebooks, draws the figures, writes the pages of the API, of
# the losses and of the metrics, with warnings as errors, and checks the links inside.
#
#   bash scripts/docs.sh            # everything
#   bash scripts/docs.sh --keep     # keep figures and notebooks of the last build
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup_venv.sh
install_fusejax docs
if [ "${1:-}" = --keep ]; then export FUSEJAX_DOCS_KEEP=1; fi
.venv/bin/python -m sphinx --fail-on-warning --keep-going --quiet --jobs 2 -b html docs docs/_build/html
.venv/bin/python docs/make/links.py docs/_build/html
echo "docs/_build/html/index.html"
