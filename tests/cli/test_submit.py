"""``distnn submit``: what it refuses before anything waits in a queue, and the script; tests/slurm really submits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from distnn import __version__
from distnn.cli.main import main
from tests.support.runs import run_file

SITE = """\
about = "ours"
node = {cores = 8, ranks = 4, threads = 2}
[job]
setup = ["module load python", "ulimit -c 0"]
srun = ["--hint=nomultithread"]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a good run file, ``run.toml``, and a site, ``ours.toml``."""
    monkeypatch.chdir(tmp_path)
    for name in ("DISTNN_VENV", "DISTNN_ACCOUNT", "SBATCH_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)
    run_file(tmp_path / "run.toml")
    (tmp_path / "ours.toml").write_text(SITE)
    return tmp_path


def submit(*words: str, site: str = "ours.toml", nodes: str = "2", time: str = "01:00:00") -> int | str | None:
    """The exit code of the command with its needed options, as ``words`` have them or else by default."""
    needed = {"--site": site, "--nodes": nodes, "--time": time}
    options = [word for name, value in needed.items() if name not in words for word in (name, value)]
    with pytest.raises(SystemExit) as end:
        main(["submit", "run.toml", *options, *words])
    return end.value.code


def script(capsys: pytest.CaptureFixture[str], *words: str, site: str = "ours.toml") -> str:
    """The script of a dry run, which is good bash."""
    before, dashes, after = _cut(words)
    assert submit(*before, "--dry-run", *dashes, *after, site=site) == 0
    text = capsys.readouterr().out
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return text


def _cut(words: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at : at + 1], words[at + 1 :]


def requests(text: str) -> list[str]:
    return [line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#SBATCH")]


def test_the_script(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(capsys, "--account", "z01", "--", "--set", "train.epochs=3", "--out", "of mine")
    assert requests(text) == [
        "account=z01",
        "job-name=distnn",
        "output=%x-%j.out",
        "time=01:00:00",
        "nodes=2",
        "ntasks-per-node=4",
        "cpus-per-task=2",
        "signal=USR1@120",
        "requeue",
        "open-mode=append",
    ]
    lines = text.splitlines()
    assert lines[0] == "#!/bin/bash"
    assert (
        f"# Made by `distnn submit` of distnn {__version__}, for the site ours.toml; sbatch submits it, too." in lines
    )
    assert "module load python" in lines
    assert lines.index("ulimit -c 0") < lines.index("set -euo pipefail") < lines.index(f"cd {here}")
    assert f"environment={sys.prefix}" in lines
    assert "(($#)) || set -- run.toml --set train.epochs=3 --out 'of mine'" in lines
    assert lines[-1] == 'again srun --hint=nomultithread distnn train "$@"'
    assert "CHANGE-ME" not in text
    assert not any("SLURM_MPI_TYPE" in line for line in lines)


@pytest.mark.parametrize(("site", "again"), [("archer2", False), ("cirrus", False), ("generic", True)])
def test_built_in_sites(site: str, again: bool, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(capsys, "--account", "z01", "--qos", "short", "--partition", "highmem", site=site)
    assert requests(text)[:3] == ["account=z01", "partition=highmem", "qos=short"]
    assert ("requeue" in requests(text)) is again
    assert ('export DISTNN_AGAIN="${DISTNN_AGAIN:-chain}"' in text) is not again
    assert ("exclusive" in requests(text)) is (site == "cirrus")
    assert text.startswith("#!/bin/bash\n" if site == "generic" else "#!/bin/bash --login\n")


def test_layouts_and_names(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(capsys, "--ranks-per-node", "2", "--job-name", "mine")
    assert {"ntasks-per-node=2", "cpus-per-task=4", "job-name=mine"} <= set(requests(text))
    text = script(capsys, "--", "--set", "parallel.threads=1")
    assert {"ntasks-per-node=4", "cpus-per-task=1"} <= set(requests(text))


@pytest.mark.parametrize("variable", ["DISTNN_ACCOUNT", "SBATCH_ACCOUNT"])
def test_the_account_may_come_from_the_environment(
    variable: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "z02")
    assert "account=z02" in requests(script(capsys, site="archer2"))


def test_another_python_environment(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = here / "it's mine"
    monkeypatch.setenv("DISTNN_VENV", str(folder))
    text = script(capsys)
    assert 'source "${DISTNN_VENV:-$environment}/bin/activate"' in text
    (line,) = [line for line in text.splitlines() if line.startswith("environment=")]
    done = subprocess.run(
        ["bash", "-c", f'{line}; printf %s "$environment"'], capture_output=True, text=True, check=True
    )
    assert done.stdout == str(folder)
    (folder / "bin").mkdir(parents=True)  # of conda, say, which has no script to activate it
    assert 'export PATH="${DISTNN_VENV:-$environment}/bin:$PATH"' in script(capsys)
    assert submit() == 2
    assert f"there is no distnn in the Python environment {folder} (bin/distnn)" in capsys.readouterr().err


def test_the_script_is_kept_in_a_new_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(capsys, "--out", "job.slurm")
    assert (here / "job.slurm").read_text() == text
    assert submit("--dry-run", "--out", "job.slurm") == 2
    assert "job.slurm is there already; name a new file with --out, or remove it." in capsys.readouterr().err
    assert submit("--dry-run", "--out", "absent/job.slurm") == 2
    assert "absent/job.slurm can't be written: there is no folder absent; create it" in capsys.readouterr().err


def test_without_slurm(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(here))
    assert submit() == 2
    words = capsys.readouterr()
    assert words.err.startswith("distnn: error: sbatch isn't found: jobs are submitted where Slurm is")
    assert words.out == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--", "--set", "train.epoch=3"),
            "--set train.epoch=3: train.epoch is not a setting (did you mean 'epochs'?)",
        ),
        (("--", "--set", "data.path=absent.h5"), "There is no data file absent.h5"),
        (("--", "--set", "data.batch_size=5000"), "data.batch_size is 5000, but "),
        (("--", "--set", "loss.class_weights=[1.0]"), "1 class weights for logits of 10 classes; give each one"),
        (("--", "--set", "augment.crop=40"), "augment.crop is 40, but the data's images are only 8 × 8 pixels; choose"),
        (
            ("--", "--set", "parallel.elastic=true"),
            "--set parallel.elastic=true: parallel.elastic = true needs Open MPI",
        ),
        (("--", "--epochs", "3"), "No such option"),
        (("--", "--max-time", "50s"), "'50s' is not a time"),
        (("--time", "1h"), "Invalid value for '--time': '1h' is not a time; write HH:MM:SS"),
        (("--time", "3"), "Invalid value for '--time': '3' is too short: jobs are asked to stop up to 3 minutes"),
        (("--nodes", "0"), "Invalid value for '--nodes'"),
        (("--ranks-per-node", "16"), "16 ranks of 1 threads need 16 cores, but a node of ours.toml has 8; give fewer"),
        (("--threads", "16"), "1 ranks of 16 threads need 16 cores, but a node of ours.toml has 8; give fewer"),
        (("--site", "archer"), "there is no site 'archer' (did you mean 'archer2'?); there are archer2, cirrus"),
        (("--site", "archer2"), "jobs on archer2 are charged to an account: name it with --account, or in the environ"),
        (("--account", "a b"), "Invalid value for '--account': 'a b' is not a name; expected one word"),
        (("--job-name", ""), "Invalid value for '--job-name': '' is not a name; expected one word"),
    ],
)
def test_refused(words: tuple[str, ...], message: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, dashes, after = _cut(words)
    assert submit(*before, "--dry-run", *dashes, *after) == 2
    found = capsys.readouterr()
    assert message in found.err
    assert found.out == ""


def test_a_bad_run_file_is_refused_like_by_train(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = here / "run.toml"
    path.write_text(path.read_text().replace("hidden", "hiden"))
    messages = []
    for command in (["train", "run.toml"], ["submit", "run.toml", "--site", "generic", "--nodes", "1", "--time", "9"]):
        with pytest.raises(SystemExit) as end:
            main(command)
        assert end.value.code == 2
        messages.append(capsys.readouterr().err)
    assert messages[0] == messages[1] != ""


def test_advice(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ranks without work and cores without ranks are told, but not refused."""
    words = ("--dry-run", "--nodes", "20", "--threads", "1", "--ranks-per-node", "6")
    assert submit(*words) == 0
    assert capsys.readouterr().err == (
        "distnn: note: batches of 64 samples keep no more than 64 of the 120 ranks busy\n"
        "distnn: note: 2 cores of each node without a rank; --ranks-per-node and --threads share them out\n"
    )
    assert submit("--dry-run", "--", "--set", "parallel.shards=6") == 0
    assert capsys.readouterr().err == ("distnn: note: parallel.shards = 6 keep no more than 6 of the 8 ranks busy\n")
