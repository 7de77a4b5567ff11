"""``python -m distnn.jobs SITE``: the job script that jobscripts/ has for a built-in site, from its site file."""

from __future__ import annotations

import sys

from distnn.config import site as sites
from distnn.jobs.script import Job

#: The size of the scripts for people to change: small, and on any cluster one that even a laptop has.
SIZES = {"generic": (1, 2, 1)}


def checked_in(site: str) -> str:
    """The text of ``jobscripts/SITE.slurm``."""
    found = sites.read(site)
    nodes, ranks, threads = SIZES.get(site, (2, found.node.ranks, found.node.threads))
    head = (
        f"   sbatch jobscripts/{site}.slurm RUN.toml [other arguments of `distnn train`]",
        "",
        "Submit from the checkout, on a file system that the compute nodes see. See jobscripts/README.md.",
    )
    job = Job(
        site=found,
        nodes=nodes,
        time="01:00:00",
        ranks=ranks,
        threads=threads,
        arguments=("data/digits.toml",),
        environment="$SLURM_SUBMIT_DIR/.venv",
        head=head,
        blank=True,
    )
    return job.script()


if __name__ == "__main__":
    sys.stdout.write(checked_in(sys.argv[1]))
