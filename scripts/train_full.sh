#!/usr/bin/env bash
# Trains every method with its paper's recipe at full length; meant for a GPU or TPU, and not yet run at this length.
#
#   bash scripts/train_full.sh DIR RUNS
#
# DIR holds roadscene/train, msrs/train and msrs128/train; runs and CrossFuse's alignment plan are written to RUNS.
# Interrupted commands resume. `--model.dtype bfloat16` is for the accelerator; on a CPU it is slower than float32.
#
#   SMOKE=1 bash scripts/train_full.sh DIR RUNS
#
# takes one step of every stage with one small crop, on any machine: the networks have their full size.
set -euo pipefail
data=$1 runs=$2
workers=8 smoke=() stages=()
if [ -n "${SMOKE:-}" ]; then
  workers=0 smoke=(--batch-size 1 --data.crop 32 --stages.0.steps 1) stages=(--stages.1.steps 1)
fi
sets=(--data.root "$data" --data.folders roadscene/train msrs/train msrs128/train --data.workers "$workers")
mkdir -p "$runs"

fusejax train angularfuse --workdir "$runs/angularfuse" "${sets[@]}" --model.dtype bfloat16 "${smoke[@]}"

[ -f "$runs/plan.json" ] ||
  fusejax align --target "$data/roadscene" --auxiliary "$data/msrs128/train" --stride 64 --out "$runs/plan.json"
fusejax train crossfuse --workdir "$runs/crossfuse" --data.root "$data" --data.folders roadscene/train \
  --data.auxiliary msrs128/train --data.alignment "$runs/plan.json" --data.workers "$workers" --model.dtype bfloat16 \
  "${smoke[@]}" "${stages[@]}"

fusejax train fusionnet --workdir "$runs/fusionnet" --data.root "$data" --data.folders roadscene/train msrs/train \
  --data.synthetic 2000 --data.workers "$workers" --model.image-space-alpha --model.dtype bfloat16 "${smoke[@]}"
