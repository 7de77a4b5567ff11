"""The speeds of a machine, from which predictions are made."""

from __future__ import annotations

from dataclasses import dataclass

from distnn.config.site import RatesSettings


@dataclass(frozen=True)
class Link:
    """A connection between ranks."""

    latency: float  #: α, seconds for each message
    byte: float  #: β, seconds to transfer a byte
    add: float  #: γ, seconds to add a received byte to one's own


@dataclass(frozen=True)
class Rates:
    """A machine's speeds, in bytes and seconds."""

    flops: float  #: operations per second that a core reaches in training's matrix products, all cores busy
    call: float  #: seconds that an operation takes however small it is
    step: float  #: seconds of a step's bookkeeping, in addition to its operations
    core: float  #: bytes per second that one core reads and writes
    memory: float  #: bytes per second that a node's cores read and write together
    cache: float  #: the same within their caches
    cache_size: float  #: bytes that a node's caches hold
    node_latency: float  #: seconds of a message within a node
    node_bandwidth: float  #: bytes per second of the messages within a node, of all its ranks together
    latency: float  #: seconds of a message between two nodes
    bandwidth: float  #: bytes per second of one rank's messages to other nodes
    network: float  #: bytes per second of the messages of all ranks of a node to other nodes

    @classmethod
    def of(cls, given: RatesSettings) -> Rates:
        """From a site file's ``[rates]``."""
        return cls(
            flops=1e9 * given.sgemm_gflops * given.sgemm_share,
            call=1e-6 * given.call_us,
            step=1e-6 * given.step_us,
            core=1e9 * given.core_gb_s,
            memory=1e9 * given.memory_gb_s,
            cache=1e9 * given.cache_gb_s,
            cache_size=1e6 * given.cache_mb,
            node_latency=1e-6 * given.node_latency_us,
            node_bandwidth=1e9 * given.node_bandwidth_gb_s,
            latency=1e-6 * given.latency_us,
            bandwidth=1e9 * given.bandwidth_gb_s,
            network=1e9 * given.network_gb_s,
        )

    def within(self, ranks: int) -> Link:
        """The link between the ranks of a node, when ``ranks`` of them send at the same time."""
        return Link(self.node_latency, 1 / min(self.core, self.node_bandwidth / ranks), 1 / self.core)

    def between(self, ranks: int) -> Link:
        """The link between nodes, when ``ranks`` ranks of each node send at the same time."""
        return Link(self.latency, 1 / min(self.bandwidth, self.network / ranks), 1 / self.core)

    def traffic(self, held: float, moved: float, ranks: int) -> float:
        """Seconds in which ``ranks`` ranks of a node read and write ``moved`` bytes together.

        They work on ``held`` bytes: what fits into the caches comes from there, the rest from memory.
        """
        missed = max(0.0, 1 - self.cache_size / held) if held else 0.0
        byte = (1 - missed) / self.cache + missed / self.memory
        return moved * max(byte, 1 / (ranks * self.core))
