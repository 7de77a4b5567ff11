"""The memory that a node has left, from made-up folders of a system's figures."""

from __future__ import annotations

from pathlib import Path

from distnn.parallel.available import available


def system(folder: Path, group: str, limits: dict[str, tuple[str, int, int]]) -> tuple[Path, Path]:
    """16 GiB free, and control groups with (limit, used, cached)."""
    proc, cgroups = folder / "proc", folder / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal: 33554432 kB\nMemFree: 1 kB\nMemAvailable:   16777216 kB\n")
    (proc / "self" / "cgroup").write_text(f"0::{group}\n")
    for path, (limit, used, cached) in limits.items():
        (cgroups / path).mkdir(parents=True, exist_ok=True)
        (cgroups / path / "memory.max").write_text(f"{limit}\n")
        (cgroups / path / "memory.current").write_text(f"{used}\n")
        (cgroups / path / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\n")
    return proc, cgroups


def test_what_the_system_has(tmp_path: Path) -> None:
    assert available(*system(tmp_path, "/", {})) == 16 << 30


def test_what_a_batch_system_allows(tmp_path: Path) -> None:
    limits = {
        "slurm": ("max", 0, 0),
        "slurm/job_7": (str(4 << 30), 3 << 30, 1 << 29),
        "slurm/job_7/step_0": ("max", 0, 0),
    }
    assert available(*system(tmp_path, "/slurm/job_7/step_0", limits)) == (1 << 30) + (1 << 29)


def test_nothing_is_left(tmp_path: Path) -> None:
    assert available(*system(tmp_path, "/job", {"job": ("100", 200, 0)})) == 0


def test_this_machine() -> None:
    assert 1 << 20 < available() < 1 << 50
