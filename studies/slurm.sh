#!/bin/bash
# sbatch --export=ALL,STUDY=nuclei,DATA=/data/nuclei,STORAGE=postgresql://me@host/studies studies/slurm.sh
#
# The first task searches, the others join it; each has a GPU of its own. Whichever ends first, the others go on, and a
# task that is submitted again goes on too. Where the storage has a password, keep it in ~/.pgpass, not here.
#SBATCH --job-name=nas-attn
#SBATCH --array=0-7
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=2
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
set -euo pipefail

TRIALS=${TRIALS:-400}
DEVICE=${DEVICE:-cuda}
WORKERS=${WORKERS:-1}
TASKS=${SLURM_ARRAY_TASK_COUNT:-8}

if [ "${SLURM_ARRAY_TASK_ID:-0}" -eq 0 ]; then
    exec nas-attn search --study "$STUDY" --storage "$STORAGE" --data "$DATA" --trials "$TRIALS" \
        --parallel $((TASKS * WORKERS)) --device "$DEVICE" --workers "$WORKERS" ${SEARCH_FLAGS:-}
fi
exec nas-attn worker "$STUDY" --storage "$STORAGE" --data "$DATA" --device "$DEVICE" --workers "$WORKERS" --wait 30
