#!/usr/bin/env bash
# The linters, with the versions in .venv: style, spelling, types. scripts/test.sh runs it first.
set -euo pipefail
cd "$(dirname "$0")/.."
echo "ruff, codespell, basedpyright"
.venv/bin/ruff check .
.venv/bin/codespell fusejax configs scripts tests colabs docs README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md
.venv/bin/basedpyright --level error
