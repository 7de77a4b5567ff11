"""What memory a training step takes, in distnn and in PyTorch: the peak over steps, above what was there before.

    python benchmarks/memory.py --torch-python ~/torch/bin/python

See README.md in this folder.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE), str(HERE / "workers")]

#: The share of PyTorch's that ours may be.
GOAL = 0.7
STEPS, SAMPLES = 6, 4096
WORKERS = {"distnn": ("distnn_step", "Distnn"), "torch": ("torch_eager", "Torch")}


def resident(field: str) -> int:
    """Bytes of this process that are in memory, now (VmRSS) or at most since the peak was last forgotten (VmHWM)."""
    found = re.search(rf"^{field}:\s*(\d+) kB$", Path("/proc/self/status").read_text(), flags=re.MULTILINE)
    assert found, f"/proc/self/status has no {field}"
    return 1024 * int(found[1])


def measure(contender: str, folder: Path, name: str) -> int:
    """The peak over some steps, above what the network's values, the data and the libraries take before them."""
    from importlib import import_module

    from protocol import Case

    module, kind = WORKERS[contender]
    make, case = getattr(import_module(module), kind), Case.load(folder, name)
    make(replace(case, batch=8)).run(1)  # so that every library has loaded what it needs, and compiled it
    gc.collect()
    trainer = make(case)
    trainer.reset()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew (proc(5))
    trainer.run(STEPS)
    return resident("VmHWM") - before


def main() -> int:
    """Measure every case in processes of their own, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", help="by commas; those of step.py if not given")
    parser.add_argument("--torch-python", default=sys.executable, help="a Python that has torch (this one)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", nargs=3, metavar=("CONTENDER", "FOLDER", "CASE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        contender, folder, name = given.worker
        print(measure(contender, Path(folder), name))
        return 0
    import cases

    every = [*cases.CASES, *cases.SLOW_CASES]
    chosen = tuple(map(cases.Case.parse, given.cases.split(","))) if given.cases else tuple(every)
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="distnn-bench-") as folder:
        cases.write(Path(folder), chosen, SAMPLES)
        print(f"{'':30}{'distnn':>10}{'torch':>10}   distnn ÷ torch; goal: at most {GOAL}")
        for case in chosen:
            found = {who: ask(who, python, folder, case) for who, python in pythons(given.torch_python).items()}
            ratio = found["distnn"] / found["torch"] if "torch" in found else None
            result[str(case)] = found | {"ratio": ratio}
            line = f"{case!s:30}" + "".join(f"{size / 1e6:7.1f} MB" for size in found.values())
            told = f"   {ratio:.2f}: {'met' if ratio <= GOAL else 'missed'}" if ratio else "   torch is skipped"
            print(line + told, flush=True)
    if given.json:
        given.json.write_text(json.dumps(result, indent=1))
    return 0


def pythons(torch: str) -> dict[str, str]:
    """Each contender's interpreter; torch's only where it has torch."""
    probe = subprocess.run([torch, "-c", "import torch"], capture_output=True, check=False)
    return {"distnn": sys.executable} | ({"torch": torch} if probe.returncode == 0 else {})


def ask(contender: str, python: str, folder: str, case: Any) -> int:
    """The bytes that a process of its own finds."""
    from contenders import environment

    command = [python, __file__, "--worker", contender, folder, str(case)]
    done = subprocess.run(command, env=environment(1), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"memory.py: {contender} failed at {case}:\n{done.stderr}")
    return int(done.stdout.split()[-1])


if __name__ == "__main__":
    sys.exit(main())
