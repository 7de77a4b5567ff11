"""The job scripts: they parse, ask Slurm for what they should, and hand the right things to srun."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from distnn.config import site
from distnn.jobs.__main__ import checked_in

FOLDER = Path(__file__).parents[1] / "jobscripts"
#: Those that train one run; the others are tested in a real Slurm: tests/slurm.
SCRIPTS = [FOLDER / f"{name}.slurm" for name in ("archer2", "cirrus", "generic")]
SITES = {"archer2": 128, "cirrus": 288}


def directives(script: Path) -> dict[str, str]:
    """The script's #SBATCH options as sbatch reads them: only those before the first command."""
    options = {}
    for line in script.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            break
        if match := re.fullmatch(r"#SBATCH --([a-z-]+)(?:=(\S+))?", line):
            assert match[1] not in options, f"{script.name}: --{match[1]} twice"
            options[match[1]] = match[2] or ""
        else:
            assert not line.startswith("#SBATCH"), f"{script.name}: sbatch can't read {line!r}"
    return options


def commands(script: Path) -> str:
    """The script without its comments."""
    return "\n".join(line for line in script.read_text().splitlines() if not line.startswith("#"))


def test_the_scripts_are_there() -> None:
    others = [FOLDER / f"{name}.slurm" for name in ("study", "sweep")]
    assert sorted(FOLDER.glob("*.slurm")) == sorted([*SCRIPTS, *others])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
class TestEveryScript:
    def test_parses(self, script: Path) -> None:
        done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")

    def test_asks_slurm(self, script: Path) -> None:
        options = directives(script)
        assert options["job-name"] == "distnn"
        assert options["output"] == "%x-%j.out"
        assert options["signal"] == "USR1@120"  # without B:, so it reaches the ranks and not only the batch shell
        assert re.fullmatch(r"\d\d:\d\d:\d\d", options["time"])
        assert {"nodes", "ntasks-per-node", "cpus-per-task"} <= set(options)
        # sbatch would ignore an option that comes after the first command.
        assert "#SBATCH" not in script.read_text().partition("\nmodule ")[2].partition("\nset ")[2]

    def test_names_what_to_change(self, script: Path) -> None:
        for option in ("account", "partition", "qos"):
            assert re.search(rf"^##?SBATCH --{option}=", script.read_text(), flags=re.MULTILINE), option

    def test_passes_cores_on_and_pins_them(self, script: Path) -> None:
        text = commands(script)
        for line in (
            'export OMP_NUM_THREADS="$SLURM_CPUS_PER_TASK"',
            'export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"',
            "export OMP_PLACES=cores",
            "set -euo pipefail",
        ):
            assert line in text.splitlines(), line

    def test_ends_with_srun_so_that_the_exit_code_is_the_jobs(self, script: Path) -> None:
        *before, last = commands(script).splitlines()
        assert last == 'again srun --distribution=block:block --hint=nomultithread distnn train "$@"'
        assert "again() {" in before
        assert not any(line.startswith(("srun", "mpiexec")) for line in before)

    def test_the_run_file_by_default_is_the_shipped_one(self, script: Path) -> None:
        """Arguments pass through whole, and none means the example."""
        (default,) = [line for line in commands(script).splitlines() if line.startswith("(($#))")]
        assert default == "(($#)) || set -- data/digits.toml"
        for arguments, expected in (
            ([], "<data/digits.toml>"),
            (["a b.toml", "--set", "x=1"], "<a b.toml><--set><x=1>"),
        ):
            show = f"""set -euo pipefail; {default}; printf '<%s>' "$@" """
            done = subprocess.run(["bash", "-c", show, "job", *arguments], capture_output=True, text=True, check=True)
            assert done.stdout == expected

    def test_is_what_distnn_submit_would_write(self, script: Path) -> None:
        site = script.stem
        cure = f"change distnn/jobs/ or the site file, then: python -m distnn.jobs {site} > jobscripts/{site}.slurm"
        assert script.read_text() == checked_in(site), cure


@pytest.mark.parametrize(("site", "cores"), SITES.items())
def test_a_site_script_fills_its_nodes(site: str, cores: int) -> None:
    options = directives(FOLDER / f"{site}.slurm")
    assert int(options["ntasks-per-node"]) * int(options["cpus-per-task"]) == cores
    layouts = re.findall(r"\b(\d+)x(\d+)\b", (FOLDER / f"{site}.slurm").read_text())
    assert len(layouts) >= 5
    assert all(int(ranks) * int(threads) == cores for ranks, threads in layouts)
    assert (options["ntasks-per-node"], options["cpus-per-task"]) in layouts
    assert options["partition"] == options["qos"] == "standard"
    assert "module load PrgEnv-gnu cray-python" in commands(FOLDER / f"{site}.slurm")


def test_cirrus_asks_for_whole_nodes() -> None:
    assert "exclusive" in directives(FOLDER / "cirrus.slurm")


def test_the_readme_describes_every_script_and_how_to_build_the_environment() -> None:
    text = (FOLDER / "README.md").read_text()
    for script in SCRIPTS:
        options = directives(script)
        row = next(line for line in text.splitlines() if line.startswith(f"| `{script.name}`"))
        assert f"{options['ntasks-per-node']} × {options['cpus-per-task']}" in row
    for words in ("cray-python", "MPICC=cc", "--no-binary=mpi4py", "CC=cc", "/work", "compute nodes don't see `/home`"):
        assert words in text, words


def test_the_readme_shows_all_that_a_site_file_may_say_of_jobs(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```$", (FOLDER / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "ours.toml").write_text(text)
    found = site.read(str(tmp_path / "ours.toml"))
    for section in (found.node, found.job):
        assert section.model_fields_set == set(type(section).model_fields)
