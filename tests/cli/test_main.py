"""The command ``distnn``: its help, its messages, its exit codes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from distnn.cli import main as cli
from distnn.cli.train import folder, seconds
from distnn.errors import DistnnError, RunFileError
from tests.support.launch import launchers, mpiexec
from tests.support.runs import distnn

RUN = '[model]\nkind = "mlp"\n[data]\npath = "missing.h5"\n'


def commands(command: click.Command, name: str) -> list[tuple[str, click.Command]]:
    """A command and those below it."""
    below = command.commands.items() if isinstance(command, click.Group) else ()
    return [(name, command)] + [pair for inner, child in below for pair in commands(child, f"{name} {inner}")]


# Help


def test_the_help_lists_the_verbs_and_an_example() -> None:
    for flag in ("-h", "--help"):
        result = distnn(flag)
        assert result.returncode == 0
        assert "mpiexec -n 2 distnn train data/digits.toml" in result.stdout
        assert all(f"\n  {verb} " in result.stdout for verb in cli.VERBS)


@pytest.mark.parametrize("verb", list(cli.VERBS))
def test_the_help_of_each_verb_carries_an_example(verb: str) -> None:
    context = click.Context(cli.distnn, info_name="distnn", **cli.distnn.context_settings)
    command = cli.distnn.get_command(context, verb)
    assert command is not None
    for name, inner in commands(command, verb):
        text = inner.get_help(click.Context(inner, info_name=name, parent=context))
        assert "Example" in text, name
        assert f"distnn {name}" in text.split("Example", 1)[1], name


def test_the_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom distnn.cli.main import main\n"
        "heavy = {'numpy', 'h5py', 'mpi4py', 'pydantic', 'rich'}\n"
        "try: main(['--help'])\nfinally: print('LOADED', *heavy & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.splitlines()[-1] == "LOADED"


def test_the_version() -> None:
    result = distnn("--version")
    assert (result.returncode, result.stdout) == (0, "distnn 0.1.0\n")


# Messages and exit codes


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            ["tran"],
            "distnn: error: there is no command 'tran' (did you mean 'train'?); there are data, init, train, "
            "evaluate, predict, sample, inspect, compare, graph, plan, submit, doctor\nTry 'distnn --help'.\n",
        ),
        (["--frob"], "distnn: error: No such option"),
        (["train"], "distnn: error: Missing argument 'RUN.toml'.\nTry 'distnn train --help'.\n"),
        (["train", "run.toml", "--sett", "x"], "distnn: error: No such option"),
        (
            ["train", "run.toml", "--max-time", "50s"],
            "distnn: error: Invalid value for '--max-time': '50s' is not a time; write HH:MM:SS (00:50:00), "
            "MM:SS (50:00), minutes (50), or D-HH:MM:SS (1-12:00:00)\nTry 'distnn train --help'.\n",
        ),
    ],
)
def test_a_bad_command_line(args: list[str], words: str) -> None:
    result = distnn(*args)
    assert result.returncode == 2
    assert result.stderr.startswith(words)
    assert result.stdout == ""


def test_no_command_at_all_brings_the_help() -> None:
    result = distnn()
    assert (result.stderr + result.stdout).startswith("Usage: distnn [OPTIONS] COMMAND")


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (RunFileError("run.toml is bad"), 2, "distnn: error: run.toml is bad\n"),
        (DistnnError("it broke"), 1, "distnn: error: it broke\n"),
        (KeyboardInterrupt(), 130, "distnn: interrupted\n"),
        (SystemExit(75), 75, ""),
        (click.ClickException("what"), 2, "distnn: error: what\nTry 'distnn --help'.\n"),
        (None, 0, ""),
    ],
)
def test_exit_codes(
    raised: BaseException | None,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    assert ended(raised, monkeypatch) == code
    assert capsys.readouterr().err.lstrip("\n") == words


def ended(raised: BaseException | None, monkeypatch: pytest.MonkeyPatch) -> int | str | None:
    """The exit code of the command line whose verb raises this."""

    @click.command()
    def inspect() -> None:
        if raised is not None:
            raise raised

    monkeypatch.setattr(cli.Verbs, "get_command", lambda self, ctx, name: inspect)
    with pytest.raises(SystemExit) as end:
        cli.main(["inspect"])
    return end.value.code


def test_other_ranks_are_silent_about_what_all_have_met(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setenv("PMI_RANK", "3")
    assert ended(RunFileError("run.toml is bad"), monkeypatch) == 2
    with pytest.raises(SystemExit) as end:
        cli.main(["train", "--help"])
    assert end.value.code == 0
    assert capsys.readouterr() == ("", "")
    assert ended(DistnnError("it broke"), monkeypatch) == 1
    assert capsys.readouterr().err == "distnn: error: rank 3: it broke\n"


@pytest.mark.parametrize("launcher", launchers())
def test_a_usage_error_is_told_once_under_a_launcher(launcher: str) -> None:
    result = mpiexec(3, [sys.executable, "-m", "distnn", "train", "--frob"], launcher=launcher)
    assert result.returncode == 2, result
    assert result.stderr.count("distnn: error:") == 1, result
    assert mpiexec(2, [sys.executable, "-m", "distnn", "-h"], launcher=launcher).stdout.count("Usage:") == 1


# train


def test_train_refuses_a_bad_run_file(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(RUN.replace("path", "pat"))
    result = distnn("train", "run.toml", "--set", "train.epochs=0", cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    for words in (
        "distnn: error: 3 mistakes in the settings of run.toml:",
        "run.toml, line 4: data.pat is not a setting (did you mean 'path'?)",
        "--set train.epochs=0: train.epochs is 0 (an integer), but must be an integer of at least 1.",
    ):
        assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["run.toml"], "nothing is made before all is known to be good"


def test_train_refuses_a_missing_run_file_and_missing_data(tmp_path: Path) -> None:
    result = distnn("train", "run.toml", cwd=tmp_path)
    assert result.returncode == 2
    assert "distnn: error: the run file run.toml does not exist." in result.stderr
    (tmp_path / "run.toml").write_text(RUN)
    result = distnn("train", "run.toml", cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert "missing.h5" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50", 3000),
        ("50:00", 3000),
        ("00:50:00", 3000),
        ("90:30", 5430),
        ("48:00:00", 172800),
        ("1-12", 129600),
        ("1-12:30", 131400),
        ("2-00:00:01", 172801),
    ],
)
def test_times_as_slurm_writes_them(text: str, expected: int) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        *(
            (text, " is not a time; write HH:MM:SS")
            for text in ("", "-", "-5", "x", "1.5", "1:2:3:4", "1--2", "5m", "１", "9" * 5000)
        ),
        ("1:60", " is not a time: 60 must be below 60"),
        ("1:60:00", " is not a time: 60 must be below 60"),
        ("1-24", " is not a time: 24 must be below 24"),
        ("0", " is no time at all"),
        ("00:00:00", " is no time at all"),
    ],
)
def test_other_times_are_refused(text: str, words: str) -> None:
    with pytest.raises(click.BadParameter) as error:
        seconds(text)
    assert str(error.value).startswith(f"'{text}'{words}")


def test_where_a_run_writes() -> None:
    assert folder(Path("data/digits.toml"), None) == Path("runs/digits")
    assert folder(Path("data/digits.toml"), "auto") == Path("runs/digits")
    assert folder(Path("data/digits.toml"), "long") is None, "where the resumed run is"


def test_train_runs_and_resumes_where_the_run_is(tmp_path: Path, repository: Path) -> None:
    text = (repository / "data" / "digits.toml").read_text()
    (tmp_path / "my.toml").write_text(text.replace("data/digits.h5", str(repository / "data" / "digits.h5")))
    result = distnn("train", "my.toml", "--set", "train.epochs=1", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "finished 1 epoch" in result.stdout
    assert not set("\r\x1b") & set(result.stdout)
    assert (tmp_path / "runs" / "my" / "metrics.jsonl").exists()
    result = distnn("train", "my.toml", "--set", "train.epochs=2", "--resume", "runs/my", "--quiet", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "finished 2 epochs" in result.stdout.splitlines()[0]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["my"]
    result = distnn("train", "my.toml", cwd=tmp_path)
    assert result.returncode == 2
    assert "holds another run already" in result.stderr
