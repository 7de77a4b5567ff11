"""``distnn plan``: from a site's rates, and from what ranks measure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distnn.cli.main import main
from distnn.config.site import BUILT_IN
from distnn.doctor import rates
from tests.support.runs import distnn
from tests.support.warm import warm

RUN = '[model]\nkind = "mlp"\nhidden = [64, 32]\n[data]\npath = "{}/data/digits.h5"\nbatch_size = 64\n'


@pytest.fixture
def run(tmp_path: Path, repository: Path) -> Path:
    """A run file in a folder of its own."""
    (tmp_path / "run.toml").write_text(RUN.format(repository))
    return tmp_path / "run.toml"


def test_a_site(run: Path) -> None:
    result = distnn("plan", run, "--site", "archer2", "--nodes", "1,2,4,…,1024", "--plot", run.with_name("plan.svg"))
    assert result.returncode == 0, result
    rows = [line.split() for line in result.stdout.splitlines() if line[:7].strip().replace(",", "").isdigit()]
    assert max(len(line) for line in result.stdout.splitlines() if line.startswith("  ")) <= 80
    assert [row[0] for row in rows] == ["1", "2", "4", "8", "16", "32", "64", "128", "256", "512", "1,024"]
    assert [row[1] for row in rows][-1] == "32,768"
    assert [float(row[6]) for row in rows] == sorted((float(row[6]) for row in rows), reverse=True)
    assert "with an efficiency of 0.5 or better, up to 1,024 nodes, at most: " in result.stdout
    assert "32 ranks a node, 4 threads each; all rates are those of archer2" in result.stdout
    assert "<svg" in run.with_name("plan.svg").read_text()


def test_json_adds_up(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--site", "generic", "--nodes", "1,3", "--ranks-per-node", "4", "--set", "train.epochs=7", "--json")
    with pytest.raises(SystemExit) as end:
        main(["plan", str(run), *words])
    assert end.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["ranks_per_node"], found["threads"]) == (4, 8)
    assert [each["ranks"] for each in found["predictions"]] == [4, 12]
    for each in found["predictions"]:
        assert each["step"] == pytest.approx(each["compute"] + each["reduce"] + each["update"])
        assert each["node_hours"] == pytest.approx(each["nodes"] * each["hours"])
        samples, epochs = 1297, 7
        assert each["hours"] == pytest.approx(epochs * samples / each["samples_per_s"] / 3600)
    assert found["largest"]["efficiency"] >= 0.5


def test_ranks_that_measure_together(run: Path) -> None:
    result = warm(2, ["plan", run, "--nodes", "1,2", "--json"])
    assert result.returncode == 0, result
    found = json.loads(result.stdout)
    assert found["ranks_per_node"] == 2
    assert found["sources"] == [
        "measured here on 2 ranks at once: steps and updates, messages and memory on 2 ranks of a node",
        "all other rates are those of generic",
    ]
    one, two = found["predictions"]
    assert (one["ranks"], two["ranks"]) == (2, 4)
    assert 0 <= one["compute"] < 1, "on a busy machine a barrier takes as long as a step and one"
    assert 0 < one["reduce"] < two["reduce"] < 1
    assert 0 < one["update"] < 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--site", "archr2"),
            "there is no site 'archr2' (did you mean 'archer2'?); there are archer2, cirrus, generic",
        ),
        (("--site", "cirrus"), "the site cirrus has no section [rates] to predict from; add one to its file, or start"),
        (("--site", "archer2", "--nodes", "4,2"), "'4,2': 2 follows 4, but the numbers have to increase"),
        (
            ("--site", "archer2", "--ranks-per-node", "64", "--threads", "4"),
            "64 ranks of 4 threads need 256 cores, but a node of archer2 has 128",
        ),
        (("--site", "archer2", "--set", "data.path=absent.h5"), "There is no data file absent.h5"),
        (("--site", "archer2", "--set", "data.batch_size=5000"), "data.batch_size is 5000, but"),
        (("--site", "archer2", "--plot", "/absent/plan.png"), "/absent/plan.png can't be written: there is no folder"),
        (("--efficiency", "0"), "Invalid value for '--efficiency'"),
    ],
)
def test_refused(words: tuple[str, ...], message: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in refusal(run, words, capsys)


def test_a_missing_run_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = refusal(tmp_path / "absent.toml", ("--site", "archer2"), capsys)
    assert f"the run file {tmp_path}/absent.toml does not exist" in words


def test_a_site_of_ones_own(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "distnn" / "sites"
    folder.mkdir(parents=True)
    text = (BUILT_IN / "generic.toml").read_text()
    (folder / "mine.toml").write_text(text)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as end:
        main(["plan", str(run), "--site", "mine", "--nodes", "1"])
    assert end.value.code == 0
    assert "all rates are those of mine" in capsys.readouterr().out
    (folder / "mine.toml").write_text(text.replace("sgemm_gflops", "sgemm_gflop"))
    words = refusal(run, ("--site", "mine"), capsys)
    assert "rates.sgemm_gflop is not a setting (did you mean 'sgemm_gflops'?)" in words
    assert "rates.sgemm_gflops is missing; it must be a finite number above 0" in words


def refusal(run: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> str:
    """The message with which the command ends as a bad usage."""
    with pytest.raises(SystemExit) as end:
        main(["plan", str(run), *words])
    assert end.value.code == 2
    message = capsys.readouterr().err
    assert message.count("distnn: error") == 1
    return message


def test_lengths_to_be_measured_are_few() -> None:
    assert rates._chosen([3, 1]) == [1, 3]
    chosen = rates._chosen([2**k for k in range(12)])
    assert len(chosen) <= rates.LENGTHS
    assert (min(chosen), max(chosen)) == (1, 2**11)
