"""Handing a job script to Slurm."""

from __future__ import annotations

import subprocess
from pathlib import Path

from distnn.errors import DistnnError, UsageError


def submit(script: str, path: Path | None = None) -> str:
    """Submit a job by sbatch, from the script's text or from the file that holds it; the job's number.

    Raises:
        UsageError: if there is no sbatch.
        DistnnError: if it refuses the job, with what it says.
    """
    command = ["sbatch", "--parsable", *([str(path)] if path else [])]
    try:
        done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UsageError(
            "sbatch isn't found: jobs are submitted where Slurm is, such as a login node of the machine. --dry-run "
            "prints the job script anywhere."
        ) from None
    if done.returncode:
        raise DistnnError(f"sbatch refused the job (exit code {done.returncode}): {done.stderr.strip()}")
    return done.stdout.strip().partition(";")[0]  # a cluster's name may follow
