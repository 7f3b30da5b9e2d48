#!/usr/bin/env bash
# Creates .venv if it is missing, installs fusejax, fuses synthetic pairs with the released weights, prints their
# scores and writes panels: infrared | visible | fused | fused in color.  Usage: bash scripts/demo.sh [OUT-DIR]
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup_venv.sh
install_fusejax ""
exec .venv/bin/python scripts/demo.py --out "${1:-outputs/demo}"
