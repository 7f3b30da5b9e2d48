#!/usr/bin/env bash
# Trains on all workers of a TPU VM slice, and resumes after a notice of preemption or maintenance.
#
#   TPU=my-slice ZONE=us-central2-b bash scripts/run_tpu.sh angularfuse --workdir gs://BUCKET/run --data.root DIR
#
# TPU, ZONE   name and zone of the slice; gcloud must be logged in
# REPOSITORY  folder of this repository on the workers (fusejax), where you ran
#             bash scripts/setup_venv.sh gcs "jax[tpu]"
#
# All workers run the same command and find each other through the slice's metadata. The data must be at the same path
# on all of them, and all of them must have access to the run's folder. When asked to stop, `fusejax train` saves and
# exits with 75, and each worker starts it again. If the slice itself is gone, create a new one and repeat the command.
# Start it in tmux or on a machine that stays connected: the run may end with the connection.
set -euo pipefail
if [ $# -lt 1 ] || [ -z "${TPU:-}" ] || [ -z "${ZONE:-}" ]; then
  sed -n '2,13p' "$0" >&2
  exit 2
fi
printf -v train ' %q' .venv/bin/fusejax train "$@" --distributed
exec gcloud compute tpus tpu-vm ssh "$TPU" --zone "$ZONE" --worker all \
  --command "cd ${REPOSITORY:-fusejax} && until$train; do code=\$?; [ \$code -eq 75 ] || exit \$code; done"
