"""Site files: the built-in ones, the user's own, and the words in which mistakes are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from distnn.config import site
from distnn.errors import RunFileError, UsageError

GOOD = """\
about = "ours"
[node]
cores = 24
ranks = 6
threads = 4
"""


def refusal(text: str, tmp_path: Path) -> str:
    """The words in which a site file with this text is refused, without its path."""
    path = tmp_path / "ours.toml"
    path.write_text(text)
    with pytest.raises(RunFileError) as error:
        site.read(str(path))
    assert "run file" not in str(error.value)
    return str(error.value).replace(str(path), "ours.toml")


@pytest.mark.parametrize("name", ["archer2", "cirrus", "generic"])
def test_built_in(name: str) -> None:
    found = site.read(name)
    assert found.node.ranks * found.node.threads == found.node.cores
    assert (found.job.again, found.job.charged) == (("requeue", False) if name == "generic" else ("chain", True))


def test_layouts_fill_a_node_and_split_no_cache() -> None:
    assert site.read("archer2").node.layouts() == [(128, 1), (64, 2), (32, 4), (16, 8), (8, 16)]
    assert site.read("cirrus").node.layouts() == [(288, 1), (144, 2), (96, 3), (72, 4), (48, 6), (24, 12), (8, 36)]


def test_least_and_defaults(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text(GOOD)
    found = site.read(str(tmp_path / "ours.toml"))
    assert found.rates is None
    assert found.job.srun == ("--distribution=block:block", "--hint=nomultithread")
    assert not (found.job.charged or found.job.exclusive or found.job.login or found.job.setup)


def test_a_name_is_built_in_or_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "distnn" / "sites"
    folder.mkdir(parents=True)
    for name in ("ours", "archer2"):
        (folder / f"{name}.toml").write_text(GOOD)
    assert site.read("ours").about == "ours"
    assert site.read("archer2").node.cores == 128
    with pytest.raises(UsageError) as error:
        site.read("our")
    assert str(error.value).startswith("there is no site 'our' (did you mean 'ours'?); there are archer2, ")
    assert str(error.value).endswith(f"a file such as {folder}/our.toml, or any other by its path.")


def test_files_that_cant_be_read(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match=r"the site file .*absent\.toml does not exist"):
        site.read(str(tmp_path / "absent.toml"))
    assert refusal("[node", tmp_path).startswith("ours.toml is not valid TOML: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cores = 24", "the section [node] is missing; it needs at least cores, ranks and threads"),
        (GOOD.replace("about", "abut"), "line 1: abut is not a section of a site file (did you mean 'about'?); the "),
        (GOOD.replace("about", "#"), "ours.toml: about is missing; it must be text in quotation marks"),
        (GOOD + "core = 3", "line 6: node.core is not a setting (did you mean 'cores'?); [node] takes cores, ranks"),
        (
            GOOD + "[jobs]",
            "line 6: jobs is not a section of a site file (did you mean 'job'?); the sections are node, ",
        ),
        (GOOD.replace("6", '"6"'), 'line 4: node.ranks is "6" (text), but must be an integer of at least 1'),
        (GOOD.replace("6", "7"), "line 4: node.ranks times threads is 28, but a node has 24 cores; give fewer of ei"),
        (GOOD + "cache = 5", "line 6: node.cache is 5, which doesn't divide the 24 cores of a node."),
        (
            GOOD + '[job]\nagain = "chains"',
            'line 7: job.again is "chains" (text), but must be "requeue" or "chain" (di',
        ),
        (
            GOOD + '[job]\nqos = "a b"',
            'line 7: job.qos is "a b" (text), but must be text in quotation marks, without sp',
        ),
        (GOOD + '[job]\nsetup = "module load x"', "but must be a list of texts of one line each."),
        (GOOD + '[job]\nsetup = ["a\\nb"]', 'job.setup[0] is "a\\nb" (text), but must be text of one line.'),
        (
            GOOD + '[job]\nsrun = ["--mpi=pmix; rm"]',
            'job.srun[0] is "--mpi=pmix; rm" (text), but must be an option such as "--hint',
        ),
        (GOOD + "[rates]\nlatency_us = 0", "rates.latency_us is 0 (an integer), but must be a finite number above 0."),
    ],
)
def test_mistakes(text: str, words: str, tmp_path: Path) -> None:
    assert words in refusal(text, tmp_path)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    words = refusal(GOOD.replace("cores", "coers") + "thread = 1\n", tmp_path)
    assert words.startswith("3 mistakes in the site file ours.toml:\n  ours.toml, line ")


@pytest.mark.parametrize(
    ("ranks", "threads", "usual", "expected"),
    [
        (None, None, None, (6, 4)),
        (12, None, None, (12, 2)),
        (None, 2, None, (12, 2)),
        (3, 2, None, (3, 2)),
        (None, None, 1, (6, 1)),
        (5, None, None, (5, 4)),
        (24, 1, 4, (24, 1)),
    ],
)
def test_layout(
    ranks: int | None, threads: int | None, usual: int | None, expected: tuple[int, int], tmp_path: Path
) -> None:
    (tmp_path / "ours.toml").write_text(GOOD)
    assert site.layout(site.read(str(tmp_path / "ours.toml")), "ours", ranks, threads, usual) == expected


@pytest.mark.parametrize(("ranks", "threads"), [(7, 4), (25, None), (None, 25)])
def test_too_many_cores(ranks: int | None, threads: int | None, tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text(GOOD)
    with pytest.raises(UsageError, match=r"need \d+ cores, but a node of ours has 24; give fewer with --ranks-per-"):
        site.layout(site.read(str(tmp_path / "ours.toml")), "ours", ranks, threads)
