"""Runs side by side: real ones, by the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from distnn.errors import UsageError
from distnn.report.comparison import Finding, differing, efficiencies, finding
from distnn.report.figures import runs as plot
from tests.support.runs import distnn, metrics, run_file
from tests.support.warm import warm


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One rank with batches of 32, two with 32 and with 64, and one that was stopped early."""
    folder = tmp_path_factory.mktemp("runs")
    found = []
    for name, ranks, batch in (("one", 1, 32), ("strong", 2, 32), ("weak", 2, 64)):
        run = run_file(folder / f"{name}.toml", data={"batch_size": batch}, log={"interval": 0})
        found.append(folder / name)
        result = warm(ranks, ["train", run, "--out", found[-1], "--quiet"])
        assert result.returncode == 0, result
    return found


def test_what_a_folder_says(runs: list[Path]) -> None:
    found = finding(runs[1])
    assert (found.name, found.ranks, found.batch_size, found.step, found.complete) == ("strong", 2, 32, 82, True)
    assert found.settings["model.hidden"] == [16]
    assert found.samples_per_s > 0
    assert found.seconds > 0
    assert [epoch for epoch, _ in found.losses] == [1, 2]
    assert set(found.scores) == {"train", "validation", "test"}
    assert 0.3 < (found.scores["test"]["accuracy"] or 0) <= 1


def test_what_differs_and_how_they_scale(runs: list[Path]) -> None:
    one, strong, weak = found = [finding(run) for run in runs]
    assert differing(found) == ["data.batch_size"]
    shares = efficiencies(found)
    assert shares is not None
    assert shares == pytest.approx(
        [1, strong.samples_per_s / 2 / one.samples_per_s, weak.samples_per_s / 2 / one.samples_per_s]
    )
    assert efficiencies([strong, weak]) is None


@pytest.mark.parametrize("which", [slice(0, 3), slice(1, 3)], ids=["scaling", "losses"])
def test_a_plot(which: slice, runs: list[Path], tmp_path: Path) -> None:
    found: list[Finding] = [finding(run) for run in runs[which]]
    plot(found, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_the_command(runs: list[Path], tmp_path: Path) -> None:
    result = distnn("compare", *runs, "--plot", tmp_path / "plot.svg")
    assert result.returncode == 0, result
    lines = result.stdout.splitlines()
    (head,) = [line.split() for line in lines if "samples/s" in line]
    assert head[:6] == ["run", "batch_size", "ranks", "samples/s", "efficiency", "seconds"]
    assert max(map(len, lines)) <= 80
    rows = [line.split() for line in lines if line.startswith(("  one ", "  strong ", "  weak "))]
    assert len(rows) == 9, "the scores stand below, and the best of them"
    assert [row[:3] for row in rows[:3]] == [
        ["one", "32", "1"],
        ["strong", "32", "2"],
        ["weak", "64", "2"],
    ]
    assert (tmp_path / "plot.svg").exists()
    listed = json.loads(distnn("compare", *runs, "--json").stdout)
    assert [run["ranks"] for run in listed] == [1, 2, 2]


def test_metrics_side_by_side(tmp_path: Path) -> None:
    """What says which epoch is best is marked, and its best value stands beside; others have what they have."""
    kinds = ["f1", {"kind": "f1", "average": "none"}]
    ends = []
    for name, sections in (("a", {"train": {"monitor": "f1"}, "metrics": {"kinds": kinds}}), ("b", {})):
        run = run_file(tmp_path / f"{name}.toml", **sections)  # type: ignore[arg-type]
        assert distnn("train", run, "--out", tmp_path / name, "--quiet").returncode == 0
        ends.append(metrics(tmp_path / name, "end")[0])
    both, one = (distnn("compare", *[tmp_path / name for name in names]).stdout for names in ("ab", "a"))
    assert "validation f1 *" in both and "validation loss *" in both and "best *" in both
    assert "validation f1 *" in one and "validation loss *" not in one and "best validation f1" in one
    assert "*: says which epoch is best" in one
    a, b = json.loads(distnn("compare", tmp_path / "a", tmp_path / "b", "--json").stdout)
    assert (a["best"], b["best"]) == (ends[0]["best"], ends[1]["best"])
    assert a["scores"]["test"] == {key: ends[0]["test"][key] for key in ("loss", "accuracy")} | {
        "f1": ends[0]["test"]["metrics"]["f1"]
    }
    assert f"{a['best']:.4f}" in one


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    result = distnn("compare", tmp_path)
    assert result.returncode == 2
    assert f"{tmp_path} is not a run's folder: No such file or directory" in result.stderr


def test_a_plot_that_cannot_be_written_is_told(runs: list[Path]) -> None:
    result = distnn("compare", *runs, "--plot", "/absent/plot.png")
    assert result.returncode == 2
    assert "/absent/plot.png can't be written: there is no folder /absent" in result.stderr


DAMAGED = {
    "a cut run file": ("run.toml", b'[model]\nkind = "ml'),
    "numbers of thousands of digits": ("run.toml", b"a = 1" + b"0" * 5000),
    "no text": ("run.toml", b"\xff\xfe\x00"),
    "no JSON": ("metrics.jsonl", b"{\n"),
    "other JSON": ("metrics.jsonl", b"[]\n3\n"),
    "lines without their kind": ("metrics.jsonl", b"{}\n"),
    "lines of other things": (
        "metrics.jsonl",
        b'{"kind": "start", "monitor": 3}\n{"kind": "train", "step": 1}\n',
    ),
    "lines without their facts": ("metrics.jsonl", b'{"kind": "start"}\n{"kind": "train"}\n'),
    "lists in lists": ("metrics.jsonl", b"[" * 100_000 + b"\n"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_files_of_a_run(case: str, runs: list[Path], tmp_path: Path) -> None:
    name, content = DAMAGED[case]
    folder = Path(shutil.copytree(runs[0], tmp_path / "run", symlinks=True))
    (folder / name).write_bytes(content)
    with pytest.raises(UsageError, match=r"run: its run.toml or metrics.jsonl is damaged"):
        finding(folder)
