#!/usr/bin/env bash
# Trains on all workers of a TPU VM slice, and resumes after a notice of preemption or maintenance.
#
#   TPU=my-slice ZONE=us-central2-b bash scripts/run_tpu.sh angularfuse --workdir gs://BUCKET/run --data.root DIR
#   TPU=my-slice ZONE=us-central2-b bash scripts/run_tpu.sh watch   # follow the first worker's log
#   TPU=my-slice ZONE=us-central2-b bash scripts/run_tpu.sh stop    # ask for a checkpoint and the end
#
# TPU, ZONE   name and zone of the slice; gcloud must be logged in
# REPOSITORY  folder of this repository on the workers (fusejax), where you ran
#             bash scripts/setup_venv.sh gcs "jax[tpu]"
#
# All workers run the same command and find each other through the slice's metadata. The data must be at the same path
# on all of them, and all of them must have access to the run's folder. The run does not depend on the connection: it is
# in the background of each worker, in a session of its own, and writes REPOSITORY/tpu.log. When asked to stop by the
# platform, `fusejax train` saves and exits with 75, and each worker starts it again. If the slice itself is gone, create
# a new one and repeat the command, which resumes.
set -euo pipefail
if [ $# -lt 1 ] || [ -z "${TPU:-}" ] || [ -z "${ZONE:-}" ]; then
  sed -n '2,17p' "$0" >&2
  exit 2
fi
on_workers() {
  gcloud compute tpus tpu-vm ssh "$TPU" --zone "$ZONE" --worker "$1" --command "cd ${REPOSITORY:-fusejax} && { $2; }"
}
running='[ -s tpu.pid ] && kill -0 "$(cat tpu.pid)" 2>/dev/null'
case "$1" in
  watch) on_workers 0 "tail -n 50 -F tpu.log" ;;
  # The loop ends at once, and training saves and ends.
  stop) on_workers all "if $running; then pkill -TERM -s \"\$(cat tpu.pid)\" -f 'fusejax train'; fi" ;;
  *)
    printf -v train ' %q' .venv/bin/fusejax train "$@" --distributed
    loop="until$train; do code=\$?; [ \$code -eq 75 ] || exit \$code; done"
    on_workers all "if $running; then echo 'already running: watch or stop it' >&2; exit 3; fi; \
nohup setsid bash -c $(printf %q "$loop") >>tpu.log 2>&1 </dev/null & echo \$! >tpu.pid"
    echo "started on all workers; follow it with: bash $0 watch" >&2
    ;;
esac
