#!/usr/bin/env bash
# Builds wheel and sdist into dist/, checks their size, installs each in a fresh environment of every Python given, and
# fuses a made-up pair there.
#
#   bash scripts/check_release.sh [PYTHON ...]     # by default python3.11, python3.12 and python3.13, those on the PATH
set -euo pipefail
cd "$(dirname "$0")/.."
pythons=("$@")
if [ $# -eq 0 ]; then
  for candidate in python3.11 python3.12 python3.13; do
    if command -v "$candidate" >/dev/null; then pythons+=("$candidate"); fi
  done
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${pythons[0]}" -m venv "$scratch/build"
"$scratch/build/bin/python" -m pip install --quiet build
rm -rf dist
"$scratch/build/bin/python" -m build --outdir dist . >/dev/null
ls -l dist
size=$(stat --format %s dist/*.whl)
if [ "$size" -ge 13000000 ]; then
  echo "the wheel has $size bytes; at most 13,000,000 are promised" >&2
  exit 1
fi
# The pair lies outside the checkout, and so does the current folder: only what was installed can be imported.
pair='from fusejax.data.synthetic import write_synthetic_folder as w; w("pairs", count=1, size=(96, 128))'
for python in "${pythons[@]}"; do
  version=$("$python" -c 'import sys; print("%d%d" % sys.version_info[:2])')
  constraints=()
  if [ -z "${FUSEJAX_NEWEST:-}" ] && [ -f "constraints/py$version.txt" ]; then
    constraints=(--constraint "$PWD/constraints/py$version.txt")
  fi
  for archive in "$PWD"/dist/*; do
    "$python" -m venv --clear "$scratch/venv"
    "$scratch/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${constraints[@]}" "$archive"
    (
      cd "$scratch"
      rm -rf pairs fused
      venv/bin/python -c "$pair"
      JAX_PLATFORMS=cpu venv/bin/fusejax fuse --ir pairs/ir --vi pairs/vi --out fused
      test "$(find fused -name '*.png' | wc -l)" -eq 1
    )
    echo "$("$python" --version), $(basename "$archive"): installed and used"
  done
done
