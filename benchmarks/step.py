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
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import distnn.runtime  # noqa: F401 (before numpy: it chooses the BLAS kernel, and all contenders inherit the choice)

# isort: split
import cases
import report
from cases import NORMALISED, Case
from contenders import Contender, ContenderError, mpiexec, one_process, torch_ddp, under_mpiexec
from report import BARE, DDP, DISTNN, JAX, SKLEARN, Rates

CHECK_STEPS, TOLERANCE = 8, 1e-4
#: What is imported under another name than it is installed by.
MODULES = {"scikit-learn": "sklearn"}


def main() -> int:
    options = parse()
    with tempfile.TemporaryDirectory(prefix="distnn-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        cases.write(folder, options.cases, options.samples)
        try:
            contenders = [stack.enter_context(contender) for contender in start(options, folder)]
            for contender in contenders:
                contender.connect()
            facts = machine(contenders)
            report.introduce(facts)
            for case in options.cases:
                agree(playing(contenders, case), case, min(CHECK_STEPS, case.steps(options.samples)))
            rates = measure(contenders, options)
        except ContenderError as error:
            print(f"step.py: {error}", file=sys.stderr)
            return 1
    result = {"machine": facts, "ranks": options.ranks, "cases": report.summary(rates, options.ranks, facts)}
    report.table(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ",".join(map(str, cases.CASES))
    slow = ",".join(map(str, cases.SLOW_CASES))
    parser.add_argument("--cases", default=names, help=f"widths@batch, by commas ({names})")
    parser.add_argument("--all", action="store_true", help=f"also {slow}, which is slow")
    parser.add_argument("--ranks", type=int, default=2, help="of each data-parallel contender, one thread each (2)")
    parser.add_argument("--rounds", type=int, default=21, help="each measures every contender at every case (21)")
    parser.add_argument("--seconds", type=float, default=0.4, help="of one measurement (0.4)")
    parser.add_argument("--samples", type=int, default=60000, help="in the data set (60000)")
    parser.add_argument("--torch-python", help="a Python that has torch (this one, if it has); none leaves torch out")
    parser.add_argument("--jax-python", help="a Python that has jax (this one, if it has); none leaves JAX out")
    parser.add_argument("--peers", action="store_true", help="also PyTorch in one process, JAX, and scikit-learn")
    parser.add_argument("--mpiexec", help="the launcher (the one beside this Python)")
    parser.add_argument("--json", type=Path, help="write the results there, too")
    options = parser.parse_args()
    try:
        chosen = tuple(Case.parse(text) for text in options.cases.split(","))
        options.cases = chosen + (cases.SLOW_CASES if options.all else ())
        cases.check(options.cases, options.ranks, options.samples)
    except ValueError as error:
        parser.error(str(error))
    return options


def start(options: argparse.Namespace, folder: Path) -> list[Contender]:
    """All contenders, on their way up."""
    launcher, ranks = mpiexec(options.mpiexec), options.ranks
    found = [
        under_mpiexec(DISTNN, launcher, "distnn_step.py", ranks, folder),
        under_mpiexec(BARE, launcher, "bare_loop.py", ranks, folder, ["mlp"]),
    ]
    if python := having("torch==2.13.0", options.torch_python):
        found.append(torch_ddp(DDP, python, ranks, folder))
        threads = sorted({1, ranks}) if options.peers else []
        more = [(f"torch, {n} thread{'s' * (n > 1)}", n) for n in threads]
        found += [one_process(name, python, "torch_eager.py", n, folder) for name, n in more]
    if options.peers and (python := having("jax", options.jax_python)):
        found.append(one_process(JAX, python, "jax_jit.py", ranks, folder, ["mlp", "lenet", "char-lstm"]))
    if options.peers and (python := having("scikit-learn", None)):
        found.append(one_process(SKLEARN, python, "sklearn_mlp.py", ranks, folder, ["mlp"]))
    return found


def having(requirement: str, given: str | None) -> str | None:
    """The interpreter that has a peer; None, with a line that says so, if there is none."""
    if given == "none":
        return None
    python, name = given or sys.executable, requirement.partition("==")[0]
    module = MODULES.get(name, name)
    probe = subprocess.run([python, "-c", f"import {module}"], capture_output=True, text=True, check=False)
    if probe.returncode == 0:
        return python
    reason = (probe.stderr.strip().splitlines() or ["no message"])[-1]
    option = "" if name in MODULES else f", and name that environment's Python with --{module}-python"
    print(
        f"{name} is skipped: {python} can't import {module} ({reason}). Install it (pip install {requirement}), in an "
        f"environment of its own if you like{option}."
    )
    return None


def machine(contenders: list[Contender]) -> dict[str, Any]:
    """What runs, and on what."""
    cpuinfo = Path("/proc/cpuinfo")
    fields = [line.partition(":") for line in cpuinfo.read_text().splitlines()] if cpuinfo.exists() else []
    known = {name.strip(): value.strip() for name, _, value in fields}
    return {
        "cpu": known.get("model name", platform.processor()),
        "avx512": "avx512f" in known.get("flags", "").split(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "openblas_coretype": os.environ.get("OPENBLAS_CORETYPE"),
        "contenders": {one.name: one.facts[0] | {"sgemm_gflops": one.sgemm()} for one in contenders},
    }


def playing(contenders: list[Contender], case: Case) -> list[Contender]:
    """The contenders that have the case's network."""
    return [one for one in contenders if case.network in one.networks]


def agree(contenders: list[Contender], case: Case, steps: int) -> None:
    """Make sure that all train the same network: their first losses are the same.

    With batch norm only of those with as many processes as distnn: each normalises over its own samples.

    Raises:
        ContenderError: if they aren't.
    """
    if case.network in NORMALISED:
        contenders = [contender for contender in contenders if contender.processes == contenders[0].processes]
    losses = {contender.name: contender.check(case, steps) for contender in contenders}
    first = losses[DISTNN]
    worst = max(abs(a / b - 1) for mine in losses.values() for a, b in zip(mine, first, strict=True))
    if not worst <= TOLERANCE:
        listed = "\n".join(f"  {name}: " + " ".join(f"{loss:.6f}" for loss in mine) for name, mine in losses.items())
        raise ContenderError(f"the contenders don't train the same network at {case}; their first losses:\n{listed}")
    print(f"{case}: the first {steps} losses agree to {worst:.0e} ({first[0]:.4f} … {first[-1]:.4f})", flush=True)


def measure(contenders: list[Contender], options: argparse.Namespace) -> Rates:
    """Samples per second by case and contender, one number a round."""
    steps = {
        case: {one.name: calibrate(one, case, options.seconds) for one in playing(contenders, case)}
        for case in options.cases
    }
    rates: Rates = {case: {name: [] for name in each} for case, each in steps.items()}
    for turn in range(options.rounds):
        for case in options.cases:
            players = playing(contenders, case)
            first = turn % len(players)  # nobody always follows the same other
            for one in players[first:] + players[:first]:
                count = steps[case][one.name]
                rates[case][one.name].append(case.samples(count, options.samples) / one.seconds(case, count))
    return rates


def calibrate(contender: Contender, case: Case, seconds: float) -> int:
    """How many steps take so long; warms up on the way."""
    steps = 3
    for _ in range(3):
        steps = max(3, round(steps * seconds / contender.seconds(case, steps)))
    return steps


if __name__ == "__main__":
    sys.exit(main())
