# `again COMMAND…` runs a training that may take more than one job. If it stops early (exit code 75: it has written a
# checkpoint and isn't finished), the job runs again and continues from the checkpoint.
#
#   DISTNN_AGAIN=requeue   requeue the same job (scontrol requeue)
#   DISTNN_AGAIN=chain     submit a new job that waits for the end of this one, for sites that don't requeue
#   DISTNN_RESTARTS=20     the largest number of restarts
#
# Each task of a job array is restarted separately.

# The script's own arguments, which a chained job gets too.
arguments=("$@")

again() {
    local times=$((${SLURM_RESTART_COUNT:-0} + ${DISTNN_LINK:-0})) most=${DISTNN_RESTARTS:-20} code=0 more=()
    # If the arguments have --resume, they name the folder to continue.
    if ((times)) && [[ " $* " != *" --resume"* ]]; then more=(--resume auto); fi
    "$@" "${more[@]}" || code=$?
    ((code == 75)) || exit "$code"
    if ((times >= most)); then
        echo "distnn: stopped early, but this job has been restarted $times times; DISTNN_RESTARTS=$most allows no more" >&2
        exit "$code"
    fi
    if [ "${DISTNN_AGAIN:-requeue}" = chain ]; then _chain $((times + 1)); else _requeue $((times + 1)); fi
    exit "$code"
}

_requeue() {
    # Not $SLURM_JOB_ID alone: for the last task of an array it is the array's own number, and would requeue all tasks.
    local job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
    job=${job:-$SLURM_JOB_ID}
    echo "distnn: stopped early; job $job is requeued ($1)"
    scontrol requeue "$job"
    sleep 60 # Slurm ends this script
}

_chain() {
    # The options with which this job was submitted, which override the lines of the script.
    local options=(--dependency="afterany:$SLURM_JOB_ID" --nodes="$SLURM_JOB_NUM_NODES" --job-name="$SLURM_JOB_NAME")
    options+=(--time="$(squeue --noheader --job="$SLURM_JOB_ID" --format=%l)")
    options+=(${SLURM_JOB_ACCOUNT:+--account="$SLURM_JOB_ACCOUNT"} ${SLURM_JOB_QOS:+--qos="$SLURM_JOB_QOS"})
    options+=(${SLURM_JOB_PARTITION:+--partition="$SLURM_JOB_PARTITION"})
    options+=(${SLURM_NTASKS_PER_NODE:+--ntasks-per-node="$SLURM_NTASKS_PER_NODE"})
    options+=(${SLURM_CPUS_PER_TASK:+--cpus-per-task="$SLURM_CPUS_PER_TASK"})
    options+=(${SLURM_ARRAY_TASK_ID:+--array="$SLURM_ARRAY_TASK_ID"})
    echo "distnn: stopped early; the next job of the chain ($1) waits for this one"
    # $0 is Slurm's own copy of the script: the file may have changed since, or there may have been none.
    env -u SLURM_RESTART_COUNT DISTNN_LINK="$1" sbatch "${options[@]}" "$0" "${arguments[@]}"
}
