#!/usr/bin/env bash
# Trains every method with its paper's recipe at full length; meant for a GPU or TPU, and not yet run at this length.
#
#   bash scripts/train_full.sh DIR RUNS
#
# DIR holds roadscene/train, msrs/train and msrs128/train; runs and CrossFuse's alignment plan are written to RUNS.
# Interrupted commands resume. `--model.dtype bfloat16` is for the accelerator; on a CPU it is slower than float32.
set -euo pipefail
data=$1 runs=$2
sets=(--data.root "$data" --data.folders roadscene/train msrs/train msrs128/train --data.workers 8)
mkdir -p "$runs"

fusejax train angularfuse --workdir "$runs/angularfuse" "${sets[@]}" --model.dtype bfloat16

[ -f "$runs/plan.json" ] ||
  fusejax align --target "$data/roadscene" --auxiliary "$data/msrs128/train" --stride 64 --out "$runs/plan.json"
fusejax train crossfuse --workdir "$runs/crossfuse" --data.root "$data" --data.folders roadscene/train \
  --data.auxiliary msrs128/train --data.alignment "$runs/plan.json" --data.workers 8 --model.dtype bfloat16

fusejax train fusionnet --workdir "$runs/fusionnet" --data.root "$data" --data.folders roadscene/train msrs/train \
  --data.synthetic 2000 --data.workers 8 --model.image-space-alpha --model.dtype bfloat16
