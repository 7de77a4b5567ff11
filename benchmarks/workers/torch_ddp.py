"""The same network under PyTorch's DistributedDataParallel, with gloo, its backend for processes on CPUs."""

from __future__ import annotations

import torch
from protocol import Case, serve
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from torch_eager import Torch, threads

distributed.init_process_group("gloo")  # by MASTER_ADDR, MASTER_PORT, RANK and WORLD_SIZE


class TorchDDP(Torch):
    rank, ranks = distributed.get_rank(), distributed.get_world_size()

    def __init__(self, case: Case) -> None:
        super().__init__(case, DistributedDataParallel)


if __name__ == "__main__":
    facts = {"rank": TorchDDP.rank, "torch": torch.__version__, "threads": threads}
    serve(TorchDDP, distributed.barrier, facts, torch.from_numpy)
