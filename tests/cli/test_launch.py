"""What every verb has from its launcher: it ends where a rank is stuck, works once, and bears any standard streams."""

from __future__ import annotations

import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.launch import Launch, Result, environment, launchers, mpiexec
from tests.support.runs import DIGITS, DISTNN, babble, distnn, run_file
from tests.support.thorough import THOROUGH
from tests.support.warm import rank

HOST = socket.gethostname()
#: Seconds without progress that ranks bear once a fault has struck.
IMPATIENCE = 2
#: Seconds until the fault strikes, and from then until the job has ended: hard limits, for a loaded machine.
START, LIMIT = 120, 30


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run file, its finished run, and the run of a language model."""
    folder = tmp_path_factory.mktemp("launch")
    run = run_file(folder / "run.toml", train={"epochs": 1})
    assert distnn("train", run, "--out", folder / "run").returncode == 0
    data = {"path": str(babble(folder / "text.h5", 500)), "batch_size": 16, "streams": True}
    model = {"kind": "char-lstm", "embedding": 4, "hidden": [12]}
    words = run_file(folder / "words.toml", model=model, data=data, train={"epochs": 1})
    assert distnn("train", words, "--out", folder / "words").returncode == 0
    return folder


#: A command of each verb but `train`, to be called in that folder.
COMMANDS = {
    "data": ["data", "digits", "--force", "-o", "d.h5"],
    "init": ["init", "--data", str(DIGITS), "-o", "new.toml"],
    "evaluate": ["evaluate", "run", str(DIGITS)],
    "predict": ["predict", "run", str(DIGITS), "--force", "-o", "p.h5"],
    "sample": ["sample", "words", "--prompt", "abc", "--length", "20"],
    "inspect": ["inspect", "run"],
    "compare": ["compare", "run"],
    "graph": ["graph", "run.toml"],
    "plan": ["plan", "run.toml", "--site", "archer2"],
    "submit": ["submit", "run.toml", "--site", "generic", "--nodes", "1", "--time", "30", "--dry-run"],
    "doctor": ["doctor"],
}
ALONE = ("data", "init", "sample", "inspect", "compare", "graph", "plan", "submit")
#: What the first lines of their outputs hold.
SIGNS = ("wrote d.h5", "wrote new.toml", "abc", "run/checkpoints", "samples/s", "digraph", "samples/s", "#!/bin/bash")


# A rank that is stuck


def struck(phase: str, who: int, fault: str, words: list[str], folder: Path, note: Path) -> Result:
    """How the job of two ranks ended in which rank ``who`` met the fault."""
    argv = [sys.executable, "-m", "tests.support.failing", phase, str(who), fault, *words]
    patience = IMPATIENCE + 6 if phase == "launch" else START
    env = {"DISTNN_TEST_STRUCK": str(note), "DISTNN_TEST_IMPATIENCE": str(IMPATIENCE)}
    env["DISTNN_TEST_PATIENCE"] = str(patience)
    with Launch(2, argv, env=env, cwd=folder) as launch:
        deadline = time.monotonic() + START
        while not note.exists() and launch.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert note.exists(), launch.output()
        result = launch.wait(LIMIT)
        deadline = time.monotonic() + LIMIT
        while launch.pids() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert launch.pids() == {}
        return result


@pytest.mark.parametrize(
    ("verb", "who", "words"),
    [
        ("predict", 0, COMMANDS["predict"]),
        ("predict", 1, COMMANDS["predict"]),
        ("doctor", 1, COMMANDS["doctor"]),
        ("plan", 1, ["plan", "run.toml", "--nodes", "1"]),
        ("sample", 0, COMMANDS["sample"]),
    ],
)
def test_a_rank_that_is_stopped_ends_the_job(verb: str, who: int, words: list[str], here: Path, tmp_path: Path) -> None:
    result = struck(verb, who, "stop", words, here, tmp_path / "struck")
    assert result.returncode != 0, result
    assert f"distnn: error: rank {1 - who} of 2 (host {HOST}) " in result.stderr, result
    assert f"distnn: error: rank {who} (host {HOST}) is the cause" in result.stderr, result


@pytest.mark.parametrize(("verb", "who"), [("predict", 1), ("sample", 0)])
def test_a_rank_that_is_stuck_reading_says_where(verb: str, who: int, here: Path, tmp_path: Path) -> None:
    result = struck(verb, who, "read", COMMANDS[verb], here, tmp_path / "struck")
    assert result.returncode != 0, result
    assert re.search(rf"distnn: error: rank {who} of 2 \(host {HOST}\) .* for {IMPATIENCE} s, in \w+", result.stderr)
    assert 'with open(f"{STRUCK}.fifo") as pipe:' in result.stderr, result


@pytest.mark.parametrize("verb", ["predict", "inspect"] if THOROUGH else ["predict"])
def test_a_rank_that_is_missing_at_the_start_ends_the_job(verb: str, here: Path, tmp_path: Path) -> None:
    result = struck("launch", 1, "stop", COMMANDS[verb], here, tmp_path / "struck")
    assert result.returncode != 0, result
    assert "Timeout (0:00:" in result.stderr, result
    assert re.search(r"world\.py., line \d+ in open\n", result.stderr), "where the other rank waits"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("read", rf"rank 0 of 2 .* for {IMPATIENCE} s, in distnn data digits"),
        ("work", r"distnn: error.*: slow, but not stuck\.$"),
    ],
)
def test_slow_work_of_one_rank_is_not_taken_for_stuck(fault: str, said: str, here: Path, tmp_path: Path) -> None:
    result = struck("convert", 0, fault, COMMANDS["data"], here, tmp_path / "struck")
    assert result.returncode != 0, result
    assert re.search(said, result.stderr, flags=re.MULTILINE), result
    assert (" for " in result.stderr) == (fault == "read"), result


# Verbs for one rank, on several


def codes(words: list[str], folder: Path, codes: Path, launcher: str = "mpich") -> tuple[Result, list[str]]:
    """How a job of two ranks ended, and the exit code of each."""
    script = f'{shlex.join(map(str, rank(launcher)))} "$@"; code=$?; echo $code >> {codes}; exit $code'
    result = mpiexec(2, ["sh", "-c", script, "sh", *words], launcher=launcher, cwd=folder, timeout=LIMIT)
    return result, codes.read_text().split()


@pytest.mark.parametrize(("verb", "sign"), list(zip(ALONE, SIGNS, strict=True)))
def test_several_ranks_do_the_work_once(verb: str, sign: str, here: Path, tmp_path: Path) -> None:
    (here / "new.toml").unlink(missing_ok=True)
    result, ends = codes(COMMANDS[verb], here, tmp_path / "codes")
    assert (result.returncode, ends, unsaid(result.stderr)) == (0, ["0", "0"], ""), result
    assert sum(sign in line for line in result.stdout.splitlines()) == 1, result


def unsaid(errors: str) -> str:
    """Standard error without the line that says which checkpoint is used, which is there once at most."""
    lines = errors.splitlines(keepends=True)
    said = [line for line in lines if line.startswith("checkpoint ")]
    assert len(said) <= 1, errors
    return "".join(line for line in lines if line not in said)


@pytest.mark.parametrize("launcher", launchers())
def test_a_failure_of_such_a_verb_is_that_of_all_ranks(launcher: str, here: Path, tmp_path: Path) -> None:
    result, ends = codes(["inspect", "absent.h5"], here, tmp_path / "codes", launcher)
    assert result.returncode == 2, result
    assert set(ends) == {"2"} and len(ends) == (2 if launcher == "mpich" else len(ends)), result
    assert result.stderr.count("distnn: error") == 1, result
    assert "absent.h5: there is no such HDF5 file" in result.stderr


def test_a_job_without_a_step_is_one_process(here: Path) -> None:
    """In a job script without srun the allocation promises ranks, but started none."""
    done = distnn("inspect", here / "run", env={"SLURM_NTASKS": "4"})
    assert (done.returncode, done.stderr) == (0, "")


# Standard streams


def shell(line: str, folder: Path, *, new: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which $D is distnn, as a new process or as a fork, which needs all three streams."""
    return subprocess.run(
        ["bash", "-c", f"D='{shlex.join(map(str, DISTNN if new else rank()))}'; {line}"],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment("none"),
        timeout=START,
    )


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_reader_that_goes_away_is_no_error(verb: str, here: Path) -> None:
    (here / "new.toml").unlink(missing_ok=True)
    new = verb == "inspect"
    done = shell(f"$D {' '.join(COMMANDS[verb])} | true; echo ${{PIPESTATUS[0]}}", here, new=new)
    assert (done.stdout, unsaid(done.stderr)) == ("0\n", ""), done


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_streams_that_are_closed_are_no_error(closed: str, here: Path, tmp_path: Path) -> None:
    done = shell(f"$D train run.toml --out {tmp_path}/out {closed}; echo $?", here)
    assert done.stdout.endswith("0\n"), done
    assert (tmp_path / "out" / "checkpoints" / "latest").exists()
    done = shell(f"$D predict {tmp_path}/out {DIGITS} -o {tmp_path}/p.h5 {closed}; echo $?", here)
    assert done.stdout.endswith("0\n"), done
    assert distnn("inspect", tmp_path / "p.h5").returncode == 0, "nothing was printed into it"


def test_a_full_disk_is_one(here: Path) -> None:
    done = shell("$D inspect run --json > /dev/full", here)
    assert done.returncode == 1
    assert done.stderr == "distnn: error: the output can't be written: No space left on device.\n"


@pytest.mark.parametrize("how", ["2>/dev/full", "2> >(true)", "2>&-"])
def test_an_error_that_nobody_can_read_has_its_code(how: str, here: Path) -> None:
    for words in ("train run.toml --out run", "evaluate run absent.h5", "inspect absent.h5", "no-verb"):
        new = how == "2>&-" or words == "no-verb"
        assert shell(f"$D {words} {how}; echo $?", here, new=new).stdout == "2\n", words


@pytest.mark.parametrize("ranks", ["0 1", "0", "1"])
def test_ranks_whose_errors_nobody_can_read_end_together(ranks: str, here: Path) -> None:
    """Those ranks write to a full disk; all of them fail alike."""
    script = f'[[ " {ranks} " = *" $PMI_RANK "* ]] && exec 2>/dev/full; exec {shlex.join(map(str, rank()))} "$@"'
    words = ["train", "run.toml", "--out", "run"]
    result = mpiexec(2, ["bash", "-c", script, "bash", *words], cwd=here, timeout=LIMIT)
    assert result.returncode == 2, result


# Signals

#: A shell's background jobs, of which these tests may be one, ignore Ctrl-C.
INTERRUPTIBLE = ["env", "--default-signal=INT", *DISTNN]


@pytest.mark.parametrize(("ignored", "code"), [(False, 75), (True, None)], ids=["terminal", "nohup"])
def test_a_terminal_that_goes_away(ignored: bool, code: int | None, tmp_path: Path) -> None:
    run = run_file(tmp_path / "run.toml", train={"epochs": 10**6}, log={"interval": 0})
    how = "--ignore-signal=HUP" if ignored else "--default-signal=HUP"
    with Launch(1, ["env", how, *DISTNN, "train", run, "--out", tmp_path / "out"], launcher="none") as launch:
        deadline = time.monotonic() + START
        while "step 3 " not in launch.output()[0] and time.monotonic() < deadline:
            time.sleep(0.05)
        launch.process.send_signal(signal.SIGHUP)
        if ignored:
            time.sleep(1)
            assert launch.process.poll() is code
        else:
            assert launch.wait(LIMIT).returncode == code
            assert (tmp_path / "out" / "checkpoints" / "latest").exists()


def test_ctrl_c_twice(tmp_path: Path) -> None:
    run = run_file(tmp_path / "run.toml", train={"epochs": 10**6}, checkpoint={"every_steps": 20})
    with Launch(1, [*INTERRUPTIBLE, "train", run, "--out", tmp_path / "out"], launcher="none") as launch:
        deadline = time.monotonic() + START
        while not (tmp_path / "out" / "checkpoints" / "latest").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        for _ in range(2):
            launch.process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        result = launch.wait(LIMIT)
    assert result.returncode in (130, -signal.SIGINT), result
    assert "Traceback" not in result.stderr, result
    assert distnn("inspect", tmp_path / "out" / "checkpoints" / "latest").returncode == 0


def test_ctrl_c_while_a_verb_waits(tmp_path: Path) -> None:
    verb = [*COMMANDS["data"][:-1], str(tmp_path / "d.h5")]
    argv = [*INTERRUPTIBLE[:-1], "tests.support.failing", "convert", "all", "read", *verb]
    with Launch(1, argv, launcher="none", env={"DISTNN_TEST_STRUCK": str(tmp_path / "struck")}) as launch:
        deadline = time.monotonic() + START
        while not (tmp_path / "struck.fifo").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        with (tmp_path / "struck.fifo").open("w"):  # it has come so far
            launch.process.send_signal(signal.SIGINT)
            result = launch.wait(LIMIT)
    assert (result.returncode, result.stderr.strip()) == (130, "distnn: interrupted"), result
