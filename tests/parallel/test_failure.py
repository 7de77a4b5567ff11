"""What fails on any rank ends the whole job within ten seconds, with one message that names the rank and the host.

Every phase and fault, one rank at a time: test_faults.py.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import pytest

from tests.support.forked import forked
from tests.support.launch import Launch, Result, environment, launchers
from tests.support.runs import DISTNN, distnn, metrics, run_file, some_digits
from tests.support.warm import rank

HOST = socket.gethostname()
#: Seconds from the message to the end of all ranks.
LIMIT = 10
#: Seconds until the message, start-up included: on a loaded machine Python and MPI alone may take a dozen.
START = 120


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return run_file(tmp_path / "run.toml", train={"epochs": 3}, checkpoint={"every_steps": 7})


def failed(launcher: str, n: int, phase: str, who: str, run: Path, fault: str = "unforeseen") -> Result:
    """How the job ended in which rank ``who`` failed."""
    argv = [*rank(launcher, "tests.support.failing"), phase, who, fault, "train", run, "--out", run.parent / "out"]
    return ended(n, argv, launcher)


def ended(n: int, argv: Sequence[str | Path], launcher: str, env: Mapping[str, str | None] | None = None) -> Result:
    """How the job ended: within START seconds there is a message, and LIMIT seconds after it all ranks are gone."""
    with Launch(n, argv, launcher=launcher, env=env) as launch:
        deadline = time.monotonic() + START
        while launch.process.poll() is None and time.monotonic() < deadline:
            if messages("".join(launch.output())):
                break
            time.sleep(0.05)
        return launch.wait(LIMIT)


def messages(result: Result | str) -> list[str]:
    text = result if isinstance(result, str) else result.stdout + result.stderr
    return [line for line in text.splitlines() if line.startswith("distnn: error")]


@pytest.mark.parametrize("launcher", launchers())
def test_rank_0_fails(launcher: str, run: Path) -> None:
    result = failed(launcher, 3, "forward", "0", run)
    assert result.returncode not in (0, 75), result
    assert messages(result) == [f"distnn: error on rank 0 of 3 (host {HOST}), in step 5: ValueError: boom"], result
    assert result.stderr.count("Traceback (most recent call last)") == 1, result


@pytest.mark.parametrize("launcher", launchers())
def test_all_ranks_fail(launcher: str, run: Path) -> None:
    phase, step = {"mpich": ("start", ""), "openmpi": ("forward", ", in step 5")}[launcher]
    result = failed(launcher, 3, phase, "all", run)
    assert result.returncode == 1, result
    assert messages(result) == [f"distnn: error on rank 0 of 3 (host {HOST}){step}: ValueError: boom"], result
    assert result.stderr.count("Traceback (most recent call last)") == 1, result


def test_what_is_explained_comes_without_a_traceback(run: Path) -> None:
    result = failed("mpich", 2, "forward", "1", run, "usage")
    assert result.returncode == 2, result
    assert messages(result) == [f"distnn: error on rank 1 of 2 (host {HOST}): boom."], result
    assert "Traceback" not in result.stderr, result


@pytest.mark.parametrize("launcher", launchers())
def test_what_every_rank_must_meet_is_told_once(launcher: str, tmp_path: Path) -> None:
    """A usage error: exit code 2, whichever ranks come to it first."""
    run = run_file(tmp_path / "run.toml", data={"path": str(tmp_path / "missing.h5")})
    result = ended(3, [*rank(launcher), "train", run, "--out", tmp_path / "out"], launcher)
    assert result.returncode == 2, result
    assert len(messages(result)) == 1, result
    assert f"rank 0 of 3 (host {HOST}): There is no data file" in messages(result)[0]
    assert "Traceback" not in result.stderr, result
    assert not (tmp_path / "out").exists()
    result = ended(3, [*rank(launcher), "train", run, "--set", "train.epoch=3"], launcher)
    assert result.returncode == 2, result
    assert len(messages(result)) == 1, result
    assert "train.epoch is not a setting (did you mean 'epochs'?)" in messages(result)[0]


@pytest.mark.parametrize("launcher", launchers())
def test_divergence_is_told_once(launcher: str, tmp_path: Path) -> None:
    run = run_file(tmp_path / "run.toml", optimizer={"learning_rate": 1e30})
    result = ended(2, [*rank(launcher), "train", run, "--out", tmp_path / "out"], launcher)
    assert result.returncode == 1, result
    assert len(messages(result)) == 1, result
    assert "the training diverged" in messages(result)[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_job_ends_when_its_launcher_is_told_to(number: signal.Signals, tmp_path: Path) -> None:
    run = run_file(tmp_path / "run.toml", train={"epochs": 10**6})
    with Launch(2, [*DISTNN, "train", run, "--out", tmp_path / "out"]) as launch:
        wait_for_steps(launch, tmp_path / "out")
        launch.process.send_signal(number)
        assert launch.wait(LIMIT).returncode != 0
        deadline = time.monotonic() + LIMIT
        while launch.pids() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert launch.pids() == {}


def wait_for_steps(launch: Launch, out: Path) -> None:
    while not metrics(out, "evaluation"):
        assert launch.process.poll() is None, launch.output()
        time.sleep(0.02)


# Ranks that don't see each other

PROMISES = {
    "SLURM_STEP_NUM_TASKS": ("srun", {"SLURM_PROCID": "0"}),
    "SLURM_NTASKS": ("the Slurm allocation", {}),
    "PMI_SIZE": ("the PMI launcher (MPICH's mpiexec or srun)", {"PMI_RANK": "0"}),
}


def promised(run: Path, *more: str, **variables: str | None) -> subprocess.CompletedProcess[str]:
    """The end of a process that finds these variables of a launcher."""
    words = ["train", str(run), "--out", str(run.parent / "out"), *more]
    return forked(words, cwd=None, env=environment("none", variables), timeout=START)


@pytest.mark.parametrize("variable", PROMISES)
def test_a_process_that_was_promised_company_does_not_train_alone(variable: str, run: Path) -> None:
    launcher, more = PROMISES[variable]
    result = promised(run, **{variable: "2", **more})
    assert result.returncode == 2, result
    (message,) = messages(result.stderr)
    assert message.startswith(
        f"distnn: error: {launcher} promised 2 ranks ({variable}=2), but this process sees only itself, on host "
        f"{HOST}: the MPI library in use is "
    )
    for cure in ("use the mpiexec of that library", "--mpi=pmi2", "--mpi=pmix", "--mpi=cray_shasta", "srun -n 1"):
        assert cure in message
    assert not (run.parent / "out").exists()


def test_a_promise_of_one_is_kept(run: Path) -> None:
    result = promised(run, "--quiet", SLURM_STEP_NUM_TASKS="1", SLURM_PROCID="0", SLURM_NTASKS="64")
    assert (result.returncode, result.stderr) == (0, "")


def test_a_rank_other_than_0_leaves_the_message_to_rank_0(run: Path) -> None:
    result = promised(run, SLURM_STEP_NUM_TASKS="2", SLURM_PROCID="1")
    assert (result.returncode, result.stderr) == (2, "")


def foreign(launcher: str) -> dict[str, str | None]:
    """The variables by which ranks under a launcher load the other one's library."""
    if launcher == "openmpi":
        return {"MPI4PY_LIBMPI": None, "MPI4PY_MPIABI": None}
    names = ("MPI4PY_LIBMPI", "OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM")
    return {name: environment("openmpi")[name] for name in names}


@pytest.mark.parametrize(
    ("launcher", "says"),
    [
        pytest.param(
            launchers()[1].values[0],  # type: ignore[attr-defined]
            ["Open MPI's mpiexec promised 2 ranks (OMPI_COMM_WORLD_SIZE=2)", "the MPI library in use is MPICH"],
            marks=launchers()[1].marks,  # type: ignore[attr-defined]
        ),
        pytest.param(
            launchers()[0].values[0],  # type: ignore[attr-defined]
            ["the PMI launcher (MPICH's mpiexec or srun) promised 2 ranks (PMI_SIZE=2)", "in use is Open MPI v5"],
            marks=[*launchers()[0].marks, *launchers()[1].marks],  # type: ignore[attr-defined]
        ),
    ],
)
def test_a_launcher_and_a_library_that_do_not_belong_together(launcher: str, says: list[str], run: Path) -> None:
    argv = [*DISTNN, "train", run, "--out", run.parent / "out"]
    result = ended(2, argv, launcher, foreign(launcher))
    assert result.returncode == 2, result
    (message,) = messages(result)
    for words in (*says, "sees only itself", "use the mpiexec of that library"):
        assert words in message, result
    assert not (run.parent / "out").exists()


# No MPI at all


def test_without_an_mpi_library_it_trains_as_one_rank_with_one_line_of_warning(run: Path) -> None:
    out = run.parent / "out"
    result = distnn("train", run, "--out", out, env={"MPI4PY_LIBMPI": "/nonexistent"})
    assert result.returncode == 0, result
    assert result.stderr == (
        "distnn: warning: no MPI library found, so this is a single rank; for more: pip install 'distnn[mpi]'\n"
    )
    assert "1 rank" in result.stdout
    with_mpi = distnn("train", run, "--out", run.parent / "with", "--quiet")
    assert (with_mpi.returncode, with_mpi.stderr) == (0, "")
    ends = [metrics(folder, "end")[0] for folder in (out, run.parent / "with")]
    assert ends[0]["fingerprint"] == ends[1]["fingerprint"]


def test_without_an_mpi_library_a_launch_of_several_is_refused(run: Path) -> None:
    env = {"MPI4PY_LIBMPI": "/nonexistent", "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0"}
    result = distnn("train", run, "--out", run.parent / "out", env=env)
    assert result.returncode == 2
    (message,) = messages(result.stderr)
    assert "no MPI library could be loaded (cannot load MPI library)" in message


#: Changes into the folder that its first argument names, and is distnn then.
ELSEWHERE = [
    sys.executable,
    "-c",
    "import os, runpy, sys; os.chdir(sys.argv.pop(1)); runpy.run_module('distnn', run_name='__main__')",
]


@pytest.mark.parametrize("other", ["settings", "labels"])
@pytest.mark.parametrize("launcher", launchers())
def test_a_rank_that_was_given_something_else_is_named(launcher: str, other: str, run: Path, tmp_path: Path) -> None:
    """The copy of the run file, or of the data, that a node has is an old one."""
    command = [*DISTNN, "train", run, "--out", tmp_path / "out"]
    if other == "settings":
        differs = ["--set", "optimizer.learning_rate=0.25"]
        name = "  optimizer.learning_rate: "
    else:
        path, odd = some_digits(tmp_path / "digits.h5", 100), tmp_path / "elsewhere" / "digits.h5"
        odd.parent.mkdir()
        shutil.copy(path, odd)
        with h5py.File(odd, "r+") as file:
            file["train/y"][7] = (file["train/y"][7] + 1) % 10
        command = [*ELSEWHERE, tmp_path, *command[len(DISTNN) :], "--set", "data.path=digits.h5"]
        differs = []
        name = "  digits.h5: train/y: "
    second = [*command, *differs]
    if other == "labels":
        second[3] = odd.parent
    result = ended(1, [*command, ":", "-n", "1", *second], launcher)
    assert result.returncode == 2, result
    assert "the ranks were not given the same" in result.stderr, result
    assert name in result.stderr, result
    assert f"rank 1 (host {HOST})" in result.stderr, result
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["evaluate", "predict"])
def test_so_is_one_that_evaluates_or_predicts_from_other_data(verb: str, run: Path, tmp_path: Path) -> None:
    assert distnn("train", run, "--out", tmp_path / "out", "--set", "train.epochs=1").returncode == 0
    some_digits(tmp_path / "digits.h5", 100)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    some_digits(elsewhere / "digits.h5", 90)
    argv = [verb, tmp_path / "out", "digits.h5", "--split", "train"]
    argv += ["-o", tmp_path / "predictions.h5"] if verb == "predict" else []
    first, second = [*ELSEWHERE, tmp_path, *argv], [*ELSEWHERE, elsewhere, *argv]
    result = ended(1, [*first, ":", "-n", "1", *second], "mpich")
    assert result.returncode == 2, result
    assert "  digits.h5: train/x: " in result.stderr, result
    assert f"rank 1 (host {HOST})" in result.stderr, result
    assert not (tmp_path / "predictions.h5").exists()
