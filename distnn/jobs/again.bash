# `again COMMAND…` runs a training that may take more than one job: where it stops early (exit code 75: a checkpoint, and
# more to do), the job is run again, and goes on from there.
#
#   DISTNN_AGAIN=requeue   the same job once more (scontrol requeue)
#   DISTNN_AGAIN=chain     a new job that waits for the end of this one, for sites that don't requeue
#   DISTNN_RESTARTS=20     at most so many times
#
# Tasks of a job array run again one by one.

# The script's own arguments, which a chained job gets, too.
arguments=("$@")

again() {
    local times=$((${SLURM_RESTART_COUNT:-0} + ${DISTNN_LINK:-0})) most=${DISTNN_RESTARTS:-20} code=0 more=()
    # A folder that --resume names is gone on with by itself.
    if ((times)) && [[ " $* " != *" --resume"* ]]; then more=(--resume auto); fi
    "$@" "${more[@]}" || code=$?
    ((code == 75)) || exit "$code"
    if ((times >= most)); then
        echo "distnn: stopped early, but this has run again $times times; DISTNN_RESTARTS=$most allows no more" >&2
        exit "$code"
    fi
    if [ "${DISTNN_AGAIN:-requeue}" = chain ]; then _chain $((times + 1)); else _requeue $((times + 1)); fi
    exit "$code"
}

_requeue() {
    # Not by $SLURM_JOB_ID alone: that of an array's last task is the array's own, and would requeue all of its tasks.
    local job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
    job=${job:-$SLURM_JOB_ID}
    echo "distnn: stopped early; job $job is requeued ($1)"
    scontrol requeue "$job"
    sleep 60 # Slurm ends this script
}

_chain() {
    # What this job was given beside its script, or instead of the script's own lines.
    local options=(--dependency="afterany:$SLURM_JOB_ID" --nodes="$SLURM_JOB_NUM_NODES" --job-name="$SLURM_JOB_NAME")
    options+=(--time="$(squeue --noheader --job="$SLURM_JOB_ID" --format=%l)")
    options+=(${SLURM_JOB_ACCOUNT:+--account="$SLURM_JOB_ACCOUNT"} ${SLURM_JOB_QOS:+--qos="$SLURM_JOB_QOS"})
    options+=(${SLURM_JOB_PARTITION:+--partition="$SLURM_JOB_PARTITION"})
    options+=(${SLURM_NTASKS_PER_NODE:+--ntasks-per-node="$SLURM_NTASKS_PER_NODE"})
    options+=(${SLURM_CPUS_PER_TASK:+--cpus-per-task="$SLURM_CPUS_PER_TASK"})
    options+=(${SLURM_ARRAY_TASK_ID:+--array="$SLURM_ARRAY_TASK_ID"})
    echo "distnn: stopped early; the next job of the chain ($1) waits for this one"
    # $0 is Slurm's own copy of the script, whatever has become of the file since, if there was one.
    env -u SLURM_RESTART_COUNT DISTNN_LINK="$1" sbatch "${options[@]}" "$0" "${arguments[@]}"
}
