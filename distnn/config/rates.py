"""``[rates]`` of a site file: what its machine can do in a second, from which `distnn plan` predicts."""

from __future__ import annotations

from distnn.config.section import Section
from distnn.registry import Fraction, NotNegative, Positive


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
