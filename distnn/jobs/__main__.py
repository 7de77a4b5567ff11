"""``python -m distnn.jobs SITE``: writes jobscripts/SITE.slurm from the site file of a built-in site."""

from __future__ import annotations

import sys

from distnn.config import site as sites
from distnn.jobs.slurm import Job

#: (nodes, ranks, threads) of a script that is meant to be edited: small enough for any cluster.
SIZES = {"generic": (1, 2, 1)}


def checked_in(site: str) -> str:
    """The text of ``jobscripts/SITE.slurm``."""
    settings = sites.read(site)
    nodes, ranks, threads = SIZES.get(site, (2, settings.node.ranks, settings.node.threads))
    head = (
        f"   sbatch jobscripts/{site}.slurm RUN.toml [other arguments of `distnn train`]",
        "",
        "Submit from the checkout, on a file system that the compute nodes see. See jobscripts/README.md.",
    )
    job = Job(
        site=settings,
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
