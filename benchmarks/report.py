"""What the measurements say: speeds, their ratios round by round, the goals, and the machine's own limit."""

from __future__ import annotations

from statistics import median
from typing import Any

from cases import Case

DISTNN, BARE, DDP, JAX, SKLEARN = "distnn", "bare loop", "torch DDP", "jax, jit", "scikit-learn"
#: What distnn's samples/s divided by another's should at least be, at a case or (None) at each.
GOALS = {
    (BARE, None): 0.90,
    (DDP, "784-128-10@256"): 10.0,
    (DDP, "784-512-512-10@256"): 4.0,
    (DDP, "784-512-512-10@1024"): 2.5,
    (DDP, "784-2048-2048-2048-10@1024"): 2.4,
    (JAX, "784-128-10@256"): 1.4,
    (JAX, "784-512-512-10@256"): 1.2,
    (JAX, "784-512-512-10@1024"): 1.0,
    (JAX, "784-2048-2048-2048-10@1024"): 1.0,
    (SKLEARN, "784-128-10@256"): 3.5,
    **{(peer, "lenet@256"): 1.5 for peer in (DDP, "torch, 2 threads", JAX)},
    **{(peer, "char-lstm@64"): 1.3 for peer in (DDP, "torch, 2 threads", JAX)},
    **{(peer, "resnet-14@128"): 1.0 for peer in (DDP, "torch, 2 threads")},
}

#: Samples per second by case and contender, one number a round.
Rates = dict[Case, dict[str, list[float]]]


def summary(rates: Rates, ranks: int, facts: dict[str, Any]) -> dict[str, Any]:
    """For each case the speeds, distnn's share of each other's, and the speed of matrix products alone."""
    gflops = facts["contenders"][DISTNN]["sgemm_gflops"]
    return {
        str(case): {
            "limit_samples_per_s": ranks * gflops * 1e9 / case.flops,
            "samples_per_s": {name: spread(each) for name, each in speeds.items()},
            "distnn_divided_by": {
                other: spread([mine / its for mine, its in zip(speeds[DISTNN], speeds[other], strict=True)])
                | {"goal": GOALS.get((other, str(case)), GOALS.get((other, None)))}
                for other in speeds
                if other != DISTNN
            },
        }
        for case, speeds in rates.items()
    }


def spread(values: list[float]) -> dict[str, Any]:
    return {"median": median(values), "min": min(values), "max": max(values), "rounds": values}


def introduce(facts: dict[str, Any]) -> None:
    """What runs, and on what, for people."""
    kernel = f", OPENBLAS_CORETYPE={facts['openblas_coretype']}" if facts["openblas_coretype"] else ""
    avx512 = "with" if facts["avx512"] else "without"
    print(f"{facts['cpu']}, {avx512} AVX-512, {facts['cores']} cores, load {facts['load']}{kernel}")
    for name, fact in facts["contenders"].items():
        versions = ", ".join(
            f"{key} {fact[key]}" for key in ("distnn", "numpy", "mpi", "torch", "jax", "scikit-learn") if key in fact
        )
        print(f"  {name:16}{fact['sgemm_gflops']:6.0f} GFLOP/s in sgemm   {versions}")


def table(result: dict[str, Any]) -> None:
    """The results, for people."""
    print(f"\n{'':18}{'samples/s':>10}   {'min – max':^19}   distnn ÷ it (min – max)")
    for name, found in result["cases"].items():
        print(f"{name}: {Case.parse(name).flops / 1e6:.2f} Mflop a sample; ", end="")
        print(f"matrix products alone {found['limit_samples_per_s']:,.0f} samples/s")
        for contender, speed in found["samples_per_s"].items():
            line = f"  {contender:16}{speed['median']:10,.0f}   {speed['min']:8,.0f} – {speed['max']:8,.0f}"
            if ratio := found["distnn_divided_by"].get(contender):
                line += f"   {ratio['median']:5.2f} ({ratio['min']:.2f} – {ratio['max']:.2f})"
                if ratio["goal"]:
                    line += f"   goal {ratio['goal']:.2f}: {'met' if ratio['median'] >= ratio['goal'] else 'missed'}"
            print(line)
