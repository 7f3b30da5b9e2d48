#!/usr/bin/env bash
# Trains on all workers of a TPU VM slice, and goes on after a notice of pre-emption or maintenance.
#
#   TPU=my-slice ZONE=us-central2-b bash scripts/run_tpu.sh angularfuse --workdir gs://BUCKET/run --data.root DIR
#
# TPU, ZONE   name and zone of the slice; gcloud must be logged in
# REPOSITORY  folder of this repository on the workers, prepared by scripts/setup_venv.sh with JAX for TPU (fusejax)
#
# All workers run the same line and find each other by the slice's metadata. The data must be at the same place on all
# of them, the run's folder where all of them see it. `fusejax train` ends with 75 where it was asked to stop; it has
# saved then, and each worker starts it again. Where the slice itself is gone, make a new one and give the line again.
set -euo pipefail
if [ $# -lt 1 ] || [ -z "${TPU:-}" ] || [ -z "${ZONE:-}" ]; then
  sed -n '2,11p' "$0" >&2
  exit 2
fi
printf -v train ' %q' .venv/bin/fusejax train "$@" --distributed
exec gcloud compute tpus tpu-vm ssh "$TPU" --zone "$ZONE" --worker all \
  --command "cd ${REPOSITORY:-fusejax} && until$train; do code=\$?; [ \$code -eq 75 ] || exit \$code; done"
