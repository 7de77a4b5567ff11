"""A training step of distnn beside a loop written by hand and beside PyTorch, in one run, taken in turns.

    python benchmarks/step.py --torch-python ~/torch/bin/python --json step.json

See README.md in this folder.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import distnn.runtime  # noqa: E402, F401  (before numpy: the BLAS kernel that it chooses, all contenders inherit)

# isort: split
import cases  # noqa: E402
from cases import Case  # noqa: E402
from contenders import Contender, ContenderError, mpiexec, torch_ddp, torch_eager, under_mpiexec  # noqa: E402

DISTNN, BARE, DDP, EAGER = "distnn", "bare loop", "torch DDP", "torch eager"
#: What distnn's samples/s divided by another's should at least be, and for which case; None: for each.
GOALS = {
    (BARE, None): 0.90,
    (DDP, "784-512-512-10@256"): 2.7,
    (DDP, "784-128-10@256"): 5.0,
}
CHECK_STEPS, TOLERANCE = 8, 1e-4

Rates = dict[str, dict[str, list[float]]]


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="distnn-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        cases.write(folder, options.cases, options.samples)
        try:
            contenders = [stack.enter_context(contender) for contender in start(options, folder)]
            for contender in contenders:
                contender.connect()
            print(json.dumps(machine(contenders), indent=2), flush=True)
            for case in options.cases:
                agree(contenders, case)
            rates = measure(contenders, options)
        except ContenderError as error:
            print(f"step.py: {error}", file=sys.stderr)
            return 1
    result = {"machine": machine(contenders), "ranks": options.ranks, "cases": summary(rates)}
    table(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ",".join(map(str, cases.CASES))
    parser.add_argument("--cases", default=names, help=f"widths@batch, by commas ({names})")
    parser.add_argument("--all", action="store_true", help=f"also {','.join(map(str, cases.SLOW_CASES))}, which is slow")
    parser.add_argument("--ranks", type=int, default=2, help="of each data-parallel contender, one thread each (2)")
    parser.add_argument("--rounds", type=int, default=15, help="each measures every contender at every case once (15)")
    parser.add_argument("--seconds", type=float, default=0.7, help="of one measurement (0.7)")
    parser.add_argument("--samples", type=int, default=60000, help="in the data set (60000)")
    parser.add_argument("--torch-python", default=None, help="a Python that has torch (this one, if it has); none: skip")
    parser.add_argument("--mpiexec", default=None, help="the launcher (the one beside this Python)")
    parser.add_argument("--json", type=Path, default=None, help="write the results there, too")
    options = parser.parse_args(arguments)
    try:
        chosen = tuple(Case.parse(text) for text in options.cases.split(","))
    except ValueError as error:
        parser.error(str(error))
    options.cases = chosen + (cases.SLOW_CASES if options.all else ())
    return options


def start(options: argparse.Namespace, folder: Path) -> list[Contender]:
    """All contenders, on their way up."""
    launcher, ranks = mpiexec(options.mpiexec), options.ranks
    found = [
        under_mpiexec(DISTNN, launcher, "distnn_step.py", ranks, folder),
        under_mpiexec(BARE, launcher, "bare_loop.py", ranks, folder),
    ]
    if python := torch_python(options.torch_python):
        found += [torch_ddp(DDP, python, ranks, folder), torch_eager(EAGER, python, ranks, folder)]
    return found


def torch_python(given: str | None) -> str | None:
    """The interpreter that has torch; None, with a line that says so, if there is none."""
    if given == "none":
        return None
    python = given or sys.executable
    probe = subprocess.run([python, "-c", "import torch"], capture_output=True, text=True, check=False)
    if probe.returncode == 0:
        return python
    reason = (probe.stderr.strip().splitlines() or ["no message"])[-1]
    print(
        f"PyTorch is skipped: {python} can't import torch ({reason}). Install it (pip install torch==2.13.0), in an "
        f"environment of its own if you like, and name that environment's Python with --torch-python.",
    )
    return None


def machine(contenders: list[Contender]) -> dict[str, Any]:
    """What ran, and on what."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "openblas_coretype": os.environ.get("OPENBLAS_CORETYPE"),
        "python": platform.python_version(),
        "contenders": {contender.name: contender.facts[0] for contender in contenders},
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def agree(contenders: list[Contender], case: Case) -> None:
    """Make sure that all train the same network: their first losses are the same.

    Raises:
        ContenderError: if they aren't.
    """
    losses = {contender.name: contender.check(case, CHECK_STEPS) for contender in contenders}
    first = losses[BARE]
    worst = max(abs(a / b - 1) for mine in losses.values() for a, b in zip(mine, first, strict=True))
    if not worst <= TOLERANCE:
        listed = "\n".join(f"  {name}: " + " ".join(f"{loss:.6f}" for loss in mine) for name, mine in losses.items())
        raise ContenderError(f"the contenders don't train the same network at {case}; their first losses:\n{listed}")
    print(f"{case}: the first {CHECK_STEPS} losses agree to {worst:.0e} ({first[0]:.4f} … {first[-1]:.4f})", flush=True)


def measure(contenders: list[Contender], options: argparse.Namespace) -> Rates:
    """Samples per second by case and contender, one number a round."""
    steps = {case: {one.name: calibrate(one, case, options.seconds) for one in contenders} for case in options.cases}
    rates: Rates = {str(case): {one.name: [] for one in contenders} for case in options.cases}
    for turn in range(options.rounds):
        for case in options.cases:
            first = turn % len(contenders)  # nobody always follows the same other
            for one in contenders[first:] + contenders[:first]:
                count = steps[case][one.name]
                rates[str(case)][one.name].append(samples(case, count, options) / one.seconds(case, count))
    return rates


def samples(case: Case, steps: int, options: argparse.Namespace) -> int:
    """In so many steps from an epoch's beginning; its last batch may be smaller."""
    epochs, rest = divmod(steps, -(-options.samples // case.batch))
    return epochs * options.samples + rest * case.batch


def calibrate(contender: Contender, case: Case, seconds: float) -> int:
    """How many steps take so long; warms up on the way."""
    steps = 3
    for _ in range(3):
        steps = max(3, round(steps * seconds / contender.seconds(case, steps)))
    return steps


def summary(rates: Rates) -> dict[str, Any]:
    """Rates, and their ratios round by round, with medians and goals."""
    result: dict[str, Any] = {}
    for case, speeds in rates.items():
        ratios = {}
        for other in speeds:
            if other != DISTNN:
                each = [mine / theirs for mine, theirs in zip(speeds[DISTNN], speeds[other], strict=True)]
                goal = GOALS.get((other, case), GOALS.get((other, None)))
                ratios[other] = spread(each) | {"goal": goal}
        result[case] = {
            "samples_per_s": {name: spread(each) for name, each in speeds.items()},
            "distnn_divided_by": ratios,
        }
    return result


def spread(values: list[float]) -> dict[str, Any]:
    return {"median": median(values), "min": min(values), "max": max(values), "rounds": values}


def table(result: dict[str, Any]) -> None:
    """The results, for people."""
    print(f"\n{'':24}{'samples/s':>12} {'min–max':>21}   distnn ÷ it  (min–max)")
    for case, found in result["cases"].items():
        print(f"{case}   ({Case.parse(case).flops / 1e6:.2f} Mflop a sample)")
        for name, speed in found["samples_per_s"].items():
            line = f"  {name:22}{speed['median']:12,.0f} {speed['min']:10,.0f}–{speed['max']:10,.0f}"
            if ratio := found["distnn_divided_by"].get(name):
                line += f"   {ratio['median']:6.2f} ({ratio['min']:.2f}–{ratio['max']:.2f})"
                if ratio["goal"]:
                    line += f"  goal {ratio['goal']:.2f}: {'met' if ratio['median'] >= ratio['goal'] else 'MISSED'}"
            print(line)


if __name__ == "__main__":
    sys.exit(main())
