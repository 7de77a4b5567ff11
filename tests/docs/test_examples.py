"""The lecture's scripts run, assert what they claim, and write the figures and the output that their pages show."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import tempfile
import xml.etree.ElementTree
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
SCRIPTS = sorted(DOCS.glob("examples/[0-9]*.py"))


@pytest.fixture(scope="module")
def examples() -> ModuleType:
    """docs/examples/run_all.py, which is no package's."""
    spec = importlib.util.spec_from_file_location("run_all", DOCS / "examples" / "run_all.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page_of(script: Path) -> str:
    return (DOCS / "lecture" / f"{script.stem}.md").read_text()


def figures_of(page: str) -> list[str]:
    lines = re.findall(r"^(?:```\{figure\}|```\{panels\}|:figure:) (.*)$", page, flags=re.MULTILINE)
    return [name.removeprefix("../figures/") for line in lines for name in line.split()]


def records_of(page: str) -> list[str]:
    return re.findall(r"^:data: \.\./figures/(\S+)$", page, flags=re.MULTILINE)


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_a_script_runs_and_its_claims_hold(script: Path, examples: ModuleType) -> None:
    """What it leaves goes to docs/figures, where the build of the pages finds what it would otherwise run once more."""
    pytest.importorskip("matplotlib")
    figures = figures_of(page_of(script))
    examples.FIGURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=examples.FIGURES) as temporary:
        folder = Path(temporary)
        printed = examples.run(script, folder)
        assert printed
        assert (folder / f"{script.stem}.txt").read_text() == printed
        assert figures
        for name in figures:
            picture = xml.etree.ElementTree.parse(folder / name).getroot()
            assert picture.tag.endswith("svg") and len(list(picture.iter())) > 10, name
        records = records_of(page_of(script))
        for name in records:
            assert json.loads((folder / name).read_text()), name
        written = {path.name for path in folder.iterdir()} - {f"{script.stem}.txt"}
        assert written == {*figures, *records}, "what a script writes, its page shows"
        for path in sorted(folder.iterdir()):
            path.replace(examples.FIGURES / path.name)


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_a_page_shows_its_script(script: Path) -> None:
    text, page = script.read_text(), page_of(script)
    assert re.search(r"^ *(lecture\.claim\(|assert )", text, flags=re.MULTILINE), "it claims nothing"
    assert f"```{{script}} {script.name}\n```" in page


def test_the_pages_are_the_scripts_in_the_index_order() -> None:
    stems = [script.stem for script in SCRIPTS]
    assert [page.stem for page in sorted(DOCS.glob("lecture/*.md"))] == stems
    assert re.findall(r"^lecture/(\S+)$", (DOCS / "index.md").read_text(), flags=re.MULTILINE) == stems
    for number, script in enumerate(SCRIPTS, 1):
        assert script.stem.startswith(f"{number:02d}_")
        assert page_of(script).startswith(f"# {number}. ")


def test_a_claim_that_fails_is_told_when_all_is_done(tmp_path: Path, examples: ModuleType) -> None:
    pytest.importorskip("matplotlib")
    script = tmp_path / "wrong.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(DOCS / 'examples')!r})\nimport lecture\n"
        "lecture.claim(1 + 1 == 3, '1 + 1 is 3; found 2')\nlecture.claim(True, 'this holds')\nprint('went on')\n"
    )
    with pytest.raises(examples.ExampleError) as error:
        examples.run(script, tmp_path / "figures")
    assert str(error.value).endswith("exit code 1:\nwent on\n\nThis no longer holds: 1 + 1 is 3; found 2\n")


def test_a_script_whose_assertion_fails_fails(tmp_path: Path, examples: ModuleType) -> None:
    script = tmp_path / "wrong.py"
    script.write_text("print('before')\nassert 1 + 1 == 3, 'no sum'\n")
    with pytest.raises(examples.ExampleError, match=r"(?s)wrong\.py failed with exit code 1:.*before.*no sum"):
        examples.run(script, tmp_path / "figures")
    assert not (tmp_path / "figures" / "wrong.txt").exists()


def test_only_what_is_out_of_date_runs_again(
    tmp_path: Path, examples: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "counts.py"
    script.write_text("from pathlib import Path\nwith Path('runs').open('a') as file: file.write('x')\nprint('ran')\n")
    monkeypatch.setattr(examples, "SCRIPTS", [script])
    monkeypatch.setattr(examples, "EXAMPLES", tmp_path)
    monkeypatch.setattr(examples, "REPOSITORY", tmp_path)
    (tmp_path / "lecture.py").write_text("")
    folder = tmp_path / "figures"
    for _ in range(2):
        examples.run_stale(folder)
    assert (folder / "runs").read_text() == "x"
    newer = (folder / "counts.txt").stat().st_mtime + 10
    os.utime(tmp_path / "lecture.py", (newer, newer))
    examples.run_stale(folder)
    assert (folder / "runs").read_text() == "xx"
