"""Site files: what a supercomputer's nodes are and can do, and how jobs are asked for there; some are built in."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from distnn.config.explain import validated
from distnn.config.section import Lines, Options, Section, Text, Word
from distnn.config.text import Keys, load, place
from distnn.errors import UsageError, nearest
from distnn.registry import Count, Fraction, NotNegative, Positive

BUILT_IN = Path(__file__).parent / "sites"


class NodeSettings(Section):
    """``[node]``: a node's cores, and how a training usually shares them out."""

    cores: Count  #: of a node
    ranks: Count  #: the usual number on a node
    threads: Count  #: cores of each rank
    cache: Count | None = None  #: cores that share an L3 cache
    numa: Count | None = None  #: cores of a NUMA region

    def clashes(self) -> list[tuple[Keys, str]]:
        """The usual ranks have to find their cores; caches and regions have to be alike."""
        found: list[tuple[Keys, str]] = []
        if self.ranks * self.threads > self.cores:
            why = f"times threads is {self.ranks * self.threads}, but a node has {self.cores} cores; give fewer"
            found.append((("ranks",), f"{why} of either"))
        for key in ("cache", "numa"):
            size = getattr(self, key)
            if size and self.cores % size:
                found.append(((key,), f"is {size}, which doesn't divide the {self.cores} cores of a node"))
        return found

    def layouts(self) -> list[tuple[int, int]]:
        """The (ranks, threads) that fill a node and whose ranks share no cache or NUMA region unevenly."""
        cache, numa = self.cache or 1, self.numa or self.cache or 1
        sizes = [size for size in range(1, numa + 1) if cache % size == 0 or (size % cache == 0 and numa % size == 0)]
        return [(self.cores // size, size) for size in sizes]


class JobSettings(Section):
    """``[job]``: how Slurm is asked for nodes there."""

    charged: bool = False  #: whether each job must name the account that it is charged to
    account: Word | None = None  #: that account, where ``--account`` doesn't name another
    partition: Word | None = None  #: which nodes, where ``--partition`` doesn't name others
    qos: Word | None = None  #: the quality of service, where ``--qos`` doesn't name another
    exclusive: bool = False  #: ask for whole nodes, where jobs share them otherwise
    mpi: Word | None = None  #: how srun and the MPI library find each other: srun's ``--mpi``
    srun: Options = ("--distribution=block:block", "--hint=nomultithread")  #: srun's options
    login: bool = False  #: a login shell runs the job, where modules need one
    setup: Lines = ()  #: lines of bash that come before Python's environment, such as "module load …"
    #: how a run that meets its time limit goes on: the same job once more, or a new one that waits for its end
    again: Literal["requeue", "chain"] = "requeue"
    notes: Lines = ()  #: for those who read the job script, at its top


class RatesSettings(Section):
    """``[rates]``: speeds of one node, and of the network between nodes; `distnn plan` predicts from them."""

    sgemm_gflops: Positive  #: GFLOP/s of float32 matrix products, of one core while all are busy
    sgemm_share: Fraction  #: the share of it that the products of a training step reach
    call_us: NotNegative  #: µs that an operation takes however small it is: Python's and numpy's call
    step_us: NotNegative  #: µs that each step takes beside its operations
    core_gb_s: Positive  #: GB/s that one core reads and writes
    memory_gb_s: Positive  #: GB/s that a node's cores read and write together: STREAM's triad
    cache_gb_s: Positive  #: the same within the caches
    cache_mb: NotNegative  #: MB that a node's last caches hold together
    node_latency_us: Positive  #: µs of a message between two ranks of a node
    node_bandwidth_gb_s: Positive  #: GB/s of messages within a node, of all of its ranks together
    latency_us: Positive  #: µs of a message between nodes
    bandwidth_gb_s: Positive  #: GB/s of one rank's messages to other nodes
    network_gb_s: Positive  #: GB/s of the messages of all ranks of a node to other nodes


class SiteSettings(Section):
    """A whole site file."""

    file: ClassVar[str] = "site file"

    about: Text
    node: NodeSettings
    job: JobSettings = JobSettings()
    rates: RatesSettings | None = None


def read(name: str) -> SiteSettings:
    """The site of a built-in name, of a name among the user's own (``~/.config/distnn/sites``), or of a file.

    Built-in names come first, so that a name means the same everywhere; a file is given with its ``.toml``.

    Raises:
        UsageError: if there is none, or naming every mistake in it.
    """
    path = _path(name)
    table, text = load(path, SiteSettings.file)
    return validated(SiteSettings, table, partial(place, path, text), f"the site file {path}")


def _path(name: str) -> Path:
    if name.endswith(".toml"):
        return Path(name)
    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "distnn" / "sites"
    for folder in (BUILT_IN, own):
        if (folder / f"{name}.toml").is_file():
            return folder / f"{name}.toml"
    names = sorted(path.stem for folder in (BUILT_IN, own) for path in folder.glob("*.toml"))
    raise UsageError(
        f"there is no site '{name}'{nearest(name, names)}; there are {', '.join(names)}. A site of your own is a file "
        f"such as {own}/{name}.toml, or any other by its path."
    )


def layout(
    site: SiteSettings, name: str, ranks: int | None, threads: int | None, usual: int | None = None
) -> tuple[int, int]:
    """Ranks of a node and threads of a rank on the site of this name: those that are asked for, or what it has.

    Ranks get all cores of the node between them unless ``usual`` threads are known; threads alone fill it with ranks.

    Raises:
        UsageError: if a node has fewer cores.
    """
    node = site.node
    if ranks is None:
        ranks = max(1, node.cores // threads) if threads else node.ranks
    threads = threads or usual or (node.threads if ranks == node.ranks else max(1, node.cores // ranks))
    if ranks * threads > node.cores:
        raise UsageError(
            f"{ranks} ranks of {threads} threads need {ranks * threads} cores, but a node of {name} has {node.cores}; "
            "give fewer with --ranks-per-node or --threads, or a site file whose node has more."
        )
    return ranks, threads
