"""How much memory a node has left."""

from __future__ import annotations

from pathlib import Path


def available(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes that the processes of this node can still allocate, by the system's free memory and their control group.

    Batch systems set a job's limit by control groups (version 2), whose hierarchy is followed up to its root.

    Returns:
        None where the system doesn't say.
    """
    if not (free := int(_words(proc / "meminfo", "MemAvailable:")[1]) * 1024):
        return None
    for line in _read(proc / "self" / "cgroup").splitlines():
        number, _, path = line.partition("::")
        if number != "0":
            continue
        folder = cgroups / path.lstrip("/")
        for group in (folder, *folder.parents):
            limit, used = _read(group / "memory.max").strip(), _read(group / "memory.current").strip()
            if limit.isdigit() and used.isdigit():
                cached = int(_words(group / "memory.stat", "inactive_file")[1])  # freed when it is needed
                free = min(free, int(limit) - int(used) + cached)
            if group == cgroups:
                break
    return max(0, free)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _words(path: Path, first: str) -> list[str]:
    """The words of the line that begins with ``first``."""
    return next((line.split() for line in _read(path).splitlines() if line.split()[:1] == [first]), [first, "0"])
