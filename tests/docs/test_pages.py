"""The pages keep their promises: their Python, run files and commands run as they stand, one after the other."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from distnn.layers import Layer
from tests.support.launch import CURES, mpiexec, usable
from tests.support.runs import distnn

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
FASHION = Path("/usr/share/datasets/fashion-mnist")


def blocks(text: str) -> list[tuple[str, str]]:
    """The language and the text of each fenced block that is run or compared."""
    fences = r"^```(python|toml|sh|\{code-block\} text)\n(.*?)^```$"
    return re.findall(fences, text, flags=re.MULTILINE | re.DOTALL)


def sections(page: str) -> dict[str, str]:
    """The text below each heading."""
    return dict(part.split("\n", 1) for part in (DOCS / page).read_text(encoding="utf-8").split("\n## ")[1:])


DATA = {title: text for title, text in sections("data.md").items() if blocks(text)}
RUNNING = sections("running.md")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like the checkout to what reads data/, and takes what is written."""
    (tmp_path / "data").symlink_to(REPOSITORY / "data")
    return tmp_path


def typed(line: str, folder: Path) -> tuple[int, str, str]:
    """Exit code and what is printed of a line of a page."""
    words = shlex.split(line.split("    #", maxsplit=1)[0])
    if words[0] == "distnn":
        done = distnn(*words[1:], cwd=folder)
        return done.returncode, done.stdout, done.stderr
    start = words.index("distnn")
    extra = dict(word.split("=") for word in words[:start] if "=" in word)
    n, launcher = (1, "none") if extra else (int(words[words.index("-n") + 1]), "ulfm" if "ulfm" in words else "mpich")
    needed = "openmpi" if launcher == "ulfm" else "mpich"
    if not usable(needed):
        pytest.skip(CURES[needed])
    result = mpiexec(n, [sys.executable, "-m", *words[start:]], launcher=launcher, cwd=folder, env=extra)
    return result.returncode, result.stdout, result.stderr


def follow(text: str, folder: Path) -> None:
    """Do what a page says: write its run file, run its Python, type its commands; all must succeed."""
    for language, block in blocks(text):
        if language == "toml":
            (folder / "run.toml").write_text(block)
        elif language == "python":
            subprocess.run([sys.executable, "-c", block], cwd=folder, check=True)
        for line in block.splitlines() if language == "sh" else ():
            code, printed, complaint = typed(line, folder)
            assert code == 0, f"{line}\n{printed}{complaint}"


@pytest.mark.parametrize("title", DATA)
def test_an_example_of_data_runs(title: str, tmp_path: Path) -> None:
    follow(DATA[title], tmp_path)
    assert (tmp_path / "runs" / "run" / "metrics.jsonl").exists()


def test_the_first_hour_runs_from_beginning_to_end(checkout: Path) -> None:
    follow((DOCS / "first_hour.md").read_text(encoding="utf-8"), checkout)
    for written in ("digits.csv", "prices.csv", "houses.toml", "shapes.svg", "runs/shapes/checkpoints/latest"):
        assert (checkout / written).exists(), written


def test_the_commands_that_reproduce_give_the_same_fingerprint(checkout: Path) -> None:
    (_, run), (_, lines) = blocks(sections("reproduce.md")["On any number of ranks"])
    (checkout / "run.toml").write_text(run)
    fingerprints = []
    for line in lines.splitlines():
        code, printed, complaint = typed(line, checkout)
        assert code == 0, complaint
        fingerprints += re.findall(r"fingerprint (\w{16})", printed)
    assert len(fingerprints) == 2
    assert len(set(fingerprints)) == 1


def test_what_reproduces_the_claims_is_there() -> None:
    for script in re.findall(r"python (\S+\.py)", sections("reproduce.md")["The numbers on these pages"]):
        assert (REPOSITORY / script).exists(), script


@pytest.mark.parametrize("title", [title for title, text in sections("errors.md").items() if "```sh" in text])
def test_an_error_is_what_the_page_shows(title: str, checkout: Path) -> None:
    (_, run), *_ = blocks((DOCS / "errors.md").read_text(encoding="utf-8"))
    (checkout / "run.toml").write_text(run)
    found = blocks(sections("errors.md")[title])
    for language, block in found:
        if language == "python":
            subprocess.run([sys.executable, "-c", block], cwd=checkout, check=True)
    ((language, commands), (_, shown)) = found[-2:]
    assert language == "sh"
    for line in commands.splitlines():
        code, _, complaint = typed(line, checkout)
    message = shown.split("\n\n", 1)[1].strip().replace("FOLDER", str(checkout)).replace("HOST", socket.gethostname())
    assert code in (1, 2)
    assert complaint.strip().splitlines()[-1].startswith(message.removesuffix("…"))
    assert "Warning" not in complaint


def test_the_run_file_and_the_layers_of_running_train(checkout: Path) -> None:
    (_, text), (_, layers) = blocks(RUNNING["Networks"])
    for number, run in enumerate((text, layers + text[text.index("[data]") :])):
        (checkout / "run.toml").write_text(run)
        code, _, complaint = typed(f"distnn train run.toml --out runs/{number} --set train.epochs=1", checkout)
        assert code == 0, complaint
    named = set(re.findall(r"\w+", " ".join(line.partition("#")[2] for line in layers.splitlines())))
    assert {kind for kind in Layer.family.kinds if not kind.endswith("pool1d")} <= named


def test_large_data_streams(checkout: Path) -> None:
    ((_, text), *_), ((_, large), *_) = blocks(RUNNING["Networks"]), blocks(RUNNING["Data larger than memory"])
    (checkout / "run.toml").write_text(
        text.replace('path = "data/digits.h5"', large.partition('"images.h5"')[2].strip() + '\npath = "data/digits.h5"')
    )
    code, _, complaint = typed("distnn train run.toml --set data.in_memory=false --set train.epochs=1", checkout)
    assert code == 0, complaint
    assert "shuffle_buffer = 65536" in (checkout / "runs" / "run" / "run.toml").read_text()


def test_a_run_under_fault_tolerance_starts_as_it_stands(checkout: Path) -> None:
    (_, text), *_ = blocks(RUNNING["Networks"])
    ((_, line),) = blocks(RUNNING["When ranks fail"])
    (checkout / "run.toml").write_text(text)
    code, printed, complaint = typed(f"{line.strip()} --set train.epochs=1", checkout)
    assert code == 0, complaint
    assert "4 ranks" in printed


@pytest.mark.skipif(not FASHION.exists(), reason="Debian's dataset-fashion-mnist is not installed")
def test_nodes_are_planned_as_it_stands(checkout: Path) -> None:
    assert typed("distnn data fashion-mnist -o fm.h5", checkout)[0] == 0
    ((_, lines),) = blocks(RUNNING["Before asking for nodes"])
    code, printed, complaint = typed(lines.splitlines()[0], checkout)
    assert code == 0, complaint
    assert re.search(r"^ *1,?024 ", printed, flags=re.MULTILINE)
    assert (checkout / "plan.png").exists()


def test_a_job_is_written_as_it_stands(checkout: Path) -> None:
    ((_, lines),) = blocks(RUNNING["On a supercomputer"])
    code, printed, complaint = typed(f"{lines.splitlines()[1]} --dry-run", checkout)
    assert code == 0, complaint
    assert "#SBATCH --nodes=4" in printed


def test_links_lead_to_sections() -> None:
    for page in DOCS.glob("*.md"):
        for target, anchor in re.findall(r"\]\(([\w/]*\.md)?#([^)]+)\)", page.read_text(encoding="utf-8")):
            titles = re.findall(r"^##+ (.*)$", (DOCS / (target or page.name)).read_text(encoding="utf-8"), re.MULTILINE)
            names = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor in names, f"{page.name}: {target}#{anchor}"


def test_every_slide_has_a_page_a_script_and_a_figure() -> None:
    table = sections("scripts.md")["The lecture, slide by slide"]
    rows = re.findall(r"^\| (\S+) \| .+ \| \[\]\(lecture/(\w+)\.md\) `(\w+)` \| `(\w+\.svg)` \|$", table, re.MULTILINE)
    assert [row[0] for row in rows] == [*map(str, range(1, 20)), "–"]
    for _, page, script, figure in rows:
        assert page == script
        assert (DOCS / "examples" / f"{script}.py").exists()
        assert f"../figures/{figure}" in (DOCS / "lecture" / f"{page}.md").read_text(encoding="utf-8"), figure
