#!/usr/bin/env bash
# Trains on GPU servers under Slurm, one process per node with all of its GPUs, and resumes after a preemption.
#
#   sbatch --nodes 4 --gpus-per-node 8 scripts/run_slurm.sh angularfuse --workdir RUN --data.root DIR
#
# Run it from the repository, on a file system that all nodes share, after
#   bash scripts/setup_venv.sh "" "jax[cuda13]"
# The job takes whole nodes, since reading the data needs their cores; add --time as your cluster asks. Slurm sends
# SIGTERM 120 s before the time limit or a preemption; `fusejax train` then saves at the next step and exits with 75,
# and the job is requeued. The job ends with any other exit code that training returns.
#SBATCH --job-name fusejax
#SBATCH --ntasks-per-node 1
#SBATCH --exclusive
#SBATCH --requeue
#SBATCH --open-mode append
#SBATCH --signal TERM@120
set -uo pipefail
if [ $# -lt 1 ]; then
  sed -n '2,11p' "$0" >&2
  exit 2
fi
code=0
# srun gives a task one core unless it is told otherwise, and does not read --cpus-per-task of sbatch.
srun --cpus-per-task "${SLURM_CPUS_PER_TASK:-${SLURM_CPUS_ON_NODE:-$(nproc)}}" --kill-on-bad-exit=1 .venv/bin/fusejax train "$@" --distributed || code=$?
if [ "$code" -eq 75 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
