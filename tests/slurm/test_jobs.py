"""The job scripts as users submit them, in a real Slurm."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from pathlib import Path

import pytest

from tests.slurm import slow
from tests.slurm.cluster import Cluster, Job
from tests.support.launch import CURES, environment, usable
from tests.support.runs import DIGITS, DISTNN, distnn, metrics, saved

#: The environment that the scripts activate.
ENV = {"DISTNN_VENV": sys.prefix}
#: A run of 2,100 steps, each of which takes 20 ms at least where `slow.PAUSE` says so.
LONG = """
model = {factory = "tests.slurm.slow:network"}
data = {path = "data/digits.h5"}
train = {epochs = 100}
optimizer = {learning_rate = 0.05, momentum = 0.9}
parallel = {reproducible = true, shards = 4}
log = {interval = 0.2}
"""
SLOW = ENV | {slow.PAUSE: "0.02"}


def digest(run: Path) -> str:
    """SHA-256 of all parameters and the optimiser's state, by name."""
    found, state = hashlib.sha256(), saved(run)
    for arrays in (state.parameters, state.optimizer):
        for name in sorted(arrays):
            value = arrays[name]
            for array in value.values() if isinstance(value, dict) else [value]:
                found.update(name.encode() + array.tobytes())
    return found.hexdigest()


def output(checkout: Path, number: str) -> str:
    return "\n".join(path.read_text() for path in sorted(checkout.glob(f"distnn-{number}*.out")))


def finished(job: Job, checkout: Path, number: str) -> str:
    """What a job printed that has ended well."""
    text = output(checkout, number)
    assert (job.state, job.exit_code) == ("COMPLETED", 0), f"{job.text}\n{text}"
    return text


@pytest.mark.parametrize("shape", [(2, 1), (1, 2)], ids=["two nodes of one rank", "one node of two ranks"])
def test_a_job(cluster: Cluster, checkout: Path, shape: tuple[int, int]) -> None:
    nodes, tasks = shape
    options = (f"--nodes={nodes}", f"--ntasks-per-node={tasks}")
    number = cluster.sbatch(*options, "jobscripts/generic.slurm", cwd=checkout, env=ENV)
    text = finished(cluster.wait(number, 120), checkout, number)
    assert "2 ranks on 1 host, 1 thread a rank (OMP_NUM_THREADS is set)" in text
    accuracy = [
        line["accuracy"] for line in metrics(checkout / "runs" / "digits", "evaluation") if line["split"] == "test"
    ]
    assert accuracy[-1] >= 0.96


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of the long run on one rank that nothing interrupts."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "long.toml").write_text(LONG)
    data = f"data.path={DIGITS}"
    done = distnn("train", folder / "long.toml", "--set", data, "--out", folder / "run")
    assert done.returncode == 0, done
    return digest(folder / "run")


def running_step(cluster: Cluster, checkout: Path, number: str, after: int) -> None:
    """Wait until the job has trained beyond a step."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        steps = [line["step"] for line in metrics(checkout / "runs" / "long", "train")]
        if steps and steps[-1] > after and cluster.job(number).state == "RUNNING":
            return
        time.sleep(0.2)
    pytest.fail(f"no step after {after}:\n{cluster.job(number).text}\n{output(checkout, number)}")


@pytest.mark.parametrize("again", ["requeue", "chain"])
def test_three_signals_end_in_the_bits_of_one_run(
    cluster: Cluster, checkout: Path, undisturbed: str, again: str
) -> None:
    (checkout / "long.toml").write_text(LONG)
    options = ("--nodes=2", "--ntasks-per-node=1", "--time=10")
    env = ENV | {slow.PAUSE: "0.006", "DISTNN_AGAIN": again}
    number = cluster.sbatch(*options, "jobscripts/generic.slurm", "long.toml", cwd=checkout, env=env)
    numbers, last = [number], 0
    for _ in range(3):
        running_step(cluster, checkout, numbers[-1], last)
        cluster.signal("USR1", numbers[-1])
        if again == "requeue":
            cluster.until(lambda: cluster.job(number).state != "RUNNING", 30)
        else:
            job = cluster.wait(numbers[-1], 30)
            assert (job.state, job.exit_code) == ("FAILED", 75), f"{job.text}\n{output(checkout, numbers[-1])}"
            numbers.append(re.findall(r"Submitted batch job (\d+)", output(checkout, numbers[-1]))[-1])
        last = saved(checkout / "runs" / "long").progress["step"]
    job = cluster.wait(numbers[-1], 240)
    finished(job, checkout, numbers[-1])
    assert len(numbers) == 4 if again == "chain" else job.restarts == 3
    assert digest(checkout / "runs" / "long") == undisturbed


def test_a_time_limit_requeues_the_job(cluster: Cluster, checkout: Path, undisturbed: str) -> None:
    """The limit itself, which is shortened once the job runs, so that nobody has to wait for minutes."""
    (checkout / "long.toml").write_text(LONG)
    options = ("--nodes=2", "--ntasks-per-node=1", "--time=30", "--signal=USR1@60")
    number = cluster.sbatch(*options, "jobscripts/generic.slurm", "long.toml", cwd=checkout, env=SLOW)
    running_step(cluster, checkout, number, 0)
    cluster.limit(number, minutes=1)
    cluster.until(lambda: cluster.job(number).restarts == 1, 60)
    cluster.limit(number, minutes=30)
    finished(cluster.wait(number, 240), checkout, number)
    assert "stopped early" in output(checkout, number)
    assert digest(checkout / "runs" / "long") == undisturbed


def test_there_is_a_cap_on_restarts(cluster: Cluster, checkout: Path) -> None:
    env = ENV | {"DISTNN_RESTARTS": "0"}
    arguments = ("data/digits.toml", "--set", "train.epochs=100000", "--max-time", "00:00:03")
    number = cluster.sbatch("jobscripts/generic.slurm", *arguments, cwd=checkout, env=env)
    job = cluster.wait(number, 60)
    assert (job.state, job.exit_code, job.restarts) == ("FAILED", 75, 0), job.text
    assert "DISTNN_RESTARTS=0 allows no more" in output(checkout, number)


def test_tasks_of_an_array_are_requeued_one_by_one(cluster: Cluster, checkout: Path) -> None:
    """The array's last task has the array's own number, by which Slurm would requeue every task."""
    env = ENV | {"DISTNN_RESTARTS": "1"}
    options = ("--array=1-2", "--ntasks-per-node=1", "--output=distnn-%A-%a.out")
    script = checkout / "array.slurm"
    text = (checkout / "jobscripts" / "generic.slurm").read_text()
    script.write_text(
        text.replace("distnn train", 'distnn train --out "runs/$SLURM_ARRAY_TASK_ID" --max-time "$LIMIT"')
    )
    script.write_text(
        script.read_text().replace("again srun", 'LIMIT="00:00:0$((2 * SLURM_ARRAY_TASK_ID))"\nagain srun', 1)
    )
    arguments = ("data/digits.toml", "--set", "train.epochs=100000")
    number = cluster.sbatch(*options, script, *arguments, cwd=checkout, env=env)
    for task in ("1", "2"):
        job = cluster.wait(f"{number}_{task}", 90)
        assert (job.state, job.exit_code, job.restarts) == ("FAILED", 75, 1), f"{job.text}\n{output(checkout, number)}"


def test_a_scaling_study(cluster: Cluster, checkout: Path) -> None:
    env = ENV | {"DISTNN_EPOCHS": "2", "DISTNN_BATCH": "32"}
    options = ("--nodes=2", "--ntasks-per-node=1", "--output=distnn-%j.out")
    number = cluster.sbatch(*options, "jobscripts/study.slurm", "data/digits.toml", cwd=checkout, env=env)
    text = finished(cluster.wait(number, 120), checkout, number)
    runs = checkout / "runs" / f"study-{number}"
    assert {path.name for path in runs.iterdir()} == {"strong-1", "strong-2", "weak-2", "scaling.png"}
    assert (runs / "scaling.png").stat().st_size > 10_000
    table = text[text.rindex("efficiency") :]
    assert re.search(r"strong-1 .* 1\.000 ", table), text
    assert re.search(r"strong-2 .* 0\.\d+ |strong-2 .* 1\.\d+ ", table), text
    assert re.search(r"weak-2 +64 +", table), text


def test_a_sweep(cluster: Cluster, checkout: Path) -> None:
    arguments = ("--array=2-4", "jobscripts/sweep.slurm", "data/digits.toml")
    number = cluster.sbatch(*arguments, cwd=checkout, env=ENV)
    for task in (2, 3, 4):
        finished(cluster.wait(f"{number}_{task}", 120), checkout, number)
    found = distnn("compare", *(checkout / "runs" / f"sweep-{number}" / str(task) for task in (2, 3, 4)), "--json")
    runs = json.loads(found.stdout)
    assert [run["settings"]["optimizer.learning_rate"] for run in runs] == [0.05, 0.2, 0.05]
    assert [run["settings"]["model.hidden"] for run in runs] == [[64, 32], [64, 32], [128, 64]]
    assert all(run["complete"] and run["scores"]["test"]["accuracy"] > 0.9 for run in runs)


def test_a_sweep_without_a_line_for_the_task(cluster: Cluster, checkout: Path) -> None:
    number = cluster.sbatch("--array=9", "jobscripts/sweep.slurm", cwd=checkout, env=ENV)
    job = cluster.wait(f"{number}_9", 60)
    assert (job.state, job.exit_code) == ("FAILED", 2), job.text
    assert "jobscripts/sweep.txt has no line 9" in output(checkout, number)


def test_open_mpi_under_pmi2_is_refused_with_the_cure(cluster: Cluster, checkout: Path) -> None:
    if not usable("openmpi"):
        pytest.skip(CURES["openmpi"])
    found = environment("openmpi")
    env = {name: found[name] for name in found if name.startswith(("MPI4PY", "OMPI"))}
    env["LD_LIBRARY_PATH"] = str(Path(found["MPI4PY_LIBMPI"]).parent)  # as its own mpiexec sets it
    command = ["srun", "--mpi=pmi2", "--ntasks=2", *DISTNN, "train", "data/digits.toml"]
    done = cluster.run(command, cwd=checkout, env=env)
    assert done.returncode == 2, done.stderr
    assert "promised 2 ranks (PMI_SIZE=2), but this process sees only itself" in done.stderr
    assert "the MPI library in use is Open MPI v5" in done.stderr, done.stderr
    assert "--mpi=pmix for Open MPI" in done.stderr
    assert not (checkout / "runs").exists()


def test_doctor_under_srun(cluster: Cluster, checkout: Path) -> None:
    command = ["srun", "--mpi=pmi2", "--nodes=2", "--ntasks=2", *DISTNN, "doctor", "--json"]
    done = cluster.run(command, cwd=checkout, env={"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found["ranks"]) == 2
    assert found["allreduce"][0][1] > 0


@pytest.mark.parametrize("site", ["archer2", "cirrus"])
def test_the_sites_scripts_as_they_are(cluster: Cluster, checkout: Path, site: str) -> None:
    """What a small cluster can't have is given beside the script: cores, the function that loads modules, and the MPI
    that Slurm takes by itself.
    """
    env = ENV | {"BASH_FUNC_module%%": '() { echo "module $*"; }', "DISTNN_RESTARTS": "1", "SLURM_MPI_TYPE": "pmi2"}
    options = ("--ntasks-per-node=1", "--cpus-per-task=1", "--account=z01", "--qos=short", "--time=10")
    arguments = ("data/digits.toml", "--set", "train.epochs=100000", "--max-time", "00:00:02")
    number = cluster.sbatch(*options, f"jobscripts/{site}.slurm", *arguments, cwd=checkout, env=env)
    job = cluster.wait(number, 60)
    text = output(checkout, number)
    assert (job.state, job.exit_code) == ("FAILED", 75), f"{job.text}\n{text}"
    assert "module load PrgEnv-gnu cray-python" in text
    assert "2 ranks on 1 host, 1 thread a rank (OMP_NUM_THREADS is set)" in text
    (following,) = re.findall(r"Submitted batch job (\d+)", text)
    job = cluster.wait(following, 60)
    assert "Account=z01" in job.text
    assert "TimeLimit=00:10:00" in job.text
    assert "DISTNN_RESTARTS=1 allows no more" in output(checkout, following)
    steps = [line["step"] for line in metrics(checkout / "runs" / "digits", "train")]
    assert steps == sorted(steps), "it went on where it had stopped"


SITE = """
about = "this host"
node = {cores = 1, ranks = 1, threads = 1}
job = {partition = "standard", mpi = "pmi2", again = "chain"}
"""


def submitted(cluster: Cluster, folder: Path, *arguments: str, env: dict[str, str] | None = None) -> str:
    """The number of the job that ``distnn submit`` makes on two nodes of the test's own site."""
    (folder / "here.toml").write_text(SITE)
    options = ("--site", "here.toml", "--nodes", "2", "--time", "10", *arguments)
    done = cluster.run([*DISTNN, "submit", "data/digits.toml", *options], cwd=folder, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    found = re.fullmatch(
        r"submitted job (\d+): 2 ranks on 2 nodes, 1 core a rank; its log: distnn-\1\.out\n", done.stdout
    )
    assert found, done.stdout
    return found[1]


def test_submit(cluster: Cluster, checkout: Path) -> None:
    """From a folder with a space in its name, without a checkout's job scripts."""
    folder = checkout / "my runs"
    folder.mkdir()
    (folder / "data").symlink_to(checkout / "data")
    number = submitted(cluster, folder, "--", "--set", "train.epochs=3", "--out", "runs/of mine")
    text = finished(cluster.wait(number, 120), folder, number)
    assert "2 ranks on 1 host, 1 thread a rank (OMP_NUM_THREADS is set)" in text
    assert saved(folder / "runs" / "of mine").progress["epoch"] == 3


def test_a_submitted_job_runs_again(cluster: Cluster, checkout: Path) -> None:
    """Its script was never in a file of its own; the job's arguments are the script's."""
    arguments = ("--set", "train.epochs=100000", "--max-time", "00:00:02")
    number = submitted(cluster, checkout, "--", *arguments, env={"DISTNN_RESTARTS": "1"})
    assert cluster.wait(number, 60).exit_code == 75, output(checkout, number)
    (following,) = re.findall(r"Submitted batch job (\d+)", output(checkout, number))
    assert cluster.wait(following, 60).exit_code == 75
    assert "DISTNN_RESTARTS=1 allows no more" in output(checkout, following)
    assert "resum" in output(checkout, following)


def test_a_refused_job(cluster: Cluster, checkout: Path) -> None:
    (checkout / "here.toml").write_text(SITE)
    options = ("--site", "here.toml", "--nodes", "2", "--time", "10", "--partition", "absent")
    done = cluster.run([*DISTNN, "submit", "data/digits.toml", *options], cwd=checkout)
    assert done.returncode == 1
    assert done.stderr.startswith("distnn: error: sbatch refused the job (exit code 1): "), done.stderr
    assert "invalid partition" in done.stderr
    assert done.stdout == ""
