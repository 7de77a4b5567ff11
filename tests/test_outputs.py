"""The files that distnn writes: whole or as before, whatever fails, and what a full disk is to each verb."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from distnn import outputs
from distnn.errors import DISK, CheckpointError, DataError, DistnnError, UsageError, exit_code
from tests.support import disks
from tests.support.launch import environment, mpiexec
from tests.support.listening import trained
from tests.support.runs import DIGITS, DISTNN, babble, distnn, run_file

OLD, NEW = "what stood there\n" * 100, "something new\n" * 1000


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES])
def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int) -> None:
    path = tmp_path / "a.toml"
    path.write_text(OLD)

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(DataError, match=f"a.toml could not be written: {os.strerror(code)}. Nothing was changed") as it:
        outputs.write(path, NEW, force=True)
    assert exit_code(it.value) == (1 if code in DISK else 2)
    assert exit_code(pickle.loads(pickle.dumps(it.value))) == exit_code(it.value), "as other ranks get it"
    assert (os.listdir(tmp_path), path.read_text()) == (["a.toml"], OLD)


@pytest.mark.parametrize("moment", ["os.fsync", "os.replace", "pathlib.Path.write_bytes"])
def test_a_kill_leaves_what_was_there(tmp_path: Path, moment: str) -> None:
    (tmp_path / "a.toml").write_text(OLD)
    die = f"{moment} = lambda *_: os.kill(os.getpid(), 9)"
    code = f"import os, pathlib\nfrom distnn import outputs\n{die}\noutputs.write('a.toml', 'new', force=True)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment("none"), check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "a.toml").read_text() == OLD
    outputs.write(tmp_path / "a.toml", NEW, force=True)
    assert (tmp_path / "a.toml").read_text() == NEW


def test_a_link_stays_and_leads_to_the_new_content(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    for name in ("link", "dangling"):
        (tmp_path / name).symlink_to(f"far/{name}.h5")
    (tmp_path / "far" / "link.h5").write_text(OLD)
    for name in ("link", "dangling"):
        with pytest.raises(DataError, match="already exists"):
            outputs.write(tmp_path / name, NEW)
        outputs.write(tmp_path / name, NEW, force=True)
        assert (tmp_path / name).is_symlink() and (tmp_path / "far" / f"{name}.h5").read_text() == NEW
    assert sorted(os.listdir(tmp_path / "far")) == ["dangling.h5", "link.h5"]


def test_the_rights_of_what_is_replaced_stay(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text(OLD)
    path.chmod(0o640)
    outputs.write(path, NEW, force=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_the_longest_name_is_written(tmp_path: Path) -> None:
    for name in ("n" * 255, "ü" * 127, "𝔫" * 63):
        outputs.write(tmp_path / name, NEW)
        assert (tmp_path / name).read_text() == NEW


def test_pipes_and_devices_are_written_into_and_never_replaced(tmp_path: Path) -> None:
    pipe, got = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    outputs.write(pipe, NEW, force=True)
    reader.join()
    assert got == [NEW]
    for place in (pipe, Path("/dev/null")):
        with pytest.raises(DataError, match="is a device, a pipe or a socket"), outputs.new_file(place, force=True):
            pytest.fail("it was opened")
    assert stat.S_ISFIFO(pipe.stat().st_mode) and stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    if Path("/dev/full").exists():
        with pytest.raises(DataError, match="/dev/full could not be written: No space left on device") as caught:
            outputs.write("/dev/full", NEW)
        assert exit_code(caught.value) == 1


def test_only_the_systems_own_failures_change_an_exit_code() -> None:
    error: DistnnError = CheckpointError("a")
    error.__cause__ = UsageError("b")
    assert exit_code(error) == 2
    error.__cause__.__cause__ = OSError(errno.ENOSPC, "full")
    assert exit_code(error) == 1
    assert exit_code(DistnnError("c")) == 1


# Verbs


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What verbs need: a run, its run file, a table, an archive, a text."""
    folder = tmp_path_factory.mktemp("made")
    trained(DIGITS, folder / "run")
    run_file(folder / "run.toml")
    (folder / "t.csv").write_text("a,b\n" + "".join(f"{k},{k % 2}\n" for k in range(50)))
    babble(folder / "text.h5", 2000)
    return folder


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that is full but for a file that is to be replaced in part of the tests."""
    with disks.small_disk(tmp_path / "disk", "64k") as disk:
        for name in ("a.h5", "a.dot", "a.svg"):
            (disk / name).write_text(OLD)
        with suppress(OSError), (disk / "rest").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        yield disk


JOB = ("--site", "generic", "--nodes", "1", "--time", "01:00:00", "--dry-run")
VERBS: dict[str, tuple[tuple[str, ...], str]] = {
    "init": (("init", "-o"), "run.toml"),
    "graph": (("graph", "run.toml", "-o"), "a.dot"),
    "submit": (("submit", "run.toml", *JOB, "--out"), "job.slurm"),
    "predict": (("predict", "run", str(DIGITS), "--force", "-o"), "a.h5"),
    "compare": (("compare", "run", "--plot"), "a.svg"),
    "plan": (("plan", "run.toml", "--site", "generic", "--plot"), "a.svg"),
    "data digits": (("data", "digits", "--force", "-o"), "a.h5"),
    "data csv": (("data", "csv", "t.csv", "--target", "b", "--force", "-o"), "a.h5"),
    "data text": (("data", "text", "text.txt", "--length", "5", "--force", "-o"), "a.h5"),
    "train": (("train", "run.toml", "--quiet", "--out"), "new"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_full_disk_ends_every_verb_in_words(verb: str, made: Path, full_disk: Path) -> None:
    words, name = VERBS[verb]
    before = sorted(os.listdir(full_disk))
    done = distnn(*words, full_disk / name, cwd=made)
    assert done.returncode == 1, done
    assert str(full_disk / name) in done.stderr and "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    if verb != "train":  # whose folder is there
        assert sorted(os.listdir(full_disk)) == before
    for kept in ("a.h5", "a.dot", "a.svg"):
        assert (full_disk / kept).read_text() == OLD


@pytest.mark.parametrize("verb", ["init", "predict", "data csv", "train"])
def test_several_ranks_end_with_one_code_and_one_message(verb: str, made: Path, full_disk: Path) -> None:
    words, name = VERBS[verb]
    done = mpiexec(2, [*DISTNN, *words, full_disk / name], cwd=made)
    assert done.returncode == 1, done
    assert done.stderr.count("No space left on device") == 1


def test_a_full_disk_ends_a_training_that_is_to_stop_there(made: Path, tmp_path: Path) -> None:
    with disks.small_disk(tmp_path / "disk", "32k") as disk:
        stop = ("--set", 'checkpoint.on_failure="stop"', "--set", "model.hidden=[256]")
        done = distnn("train", "run.toml", "--quiet", *stop, "--out", disk / "run", cwd=made)
    assert done.returncode == 1, done
    assert "the checkpoint can't be saved: No space left on device" in done.stderr


@pytest.mark.parametrize("verb", ["predict", "data digits", "data csv"])
def test_no_work_is_done_for_what_cannot_be_written(verb: str, made: Path) -> None:
    """The input isn't even looked for."""
    words = [word for word in VERBS[verb][0] if word != "--force"]
    words = [{"run": "absent", "t.csv": "absent"}.get(word, word) for word in words]
    (made / "there.h5").touch()
    done = distnn(*words, "there.h5", cwd=made)
    assert done.returncode == 2 and "there.h5 already exists and was left as it is" in done.stderr
    (made / "null.h5").unlink(missing_ok=True)
    os.mknod(made / "null.h5", stat.S_IFIFO | 0o600)
    done = distnn(*words, "null.h5", "--force", cwd=made)
    assert done.returncode == 2 and "null.h5 is a device, a pipe or a socket" in done.stderr
    assert stat.S_ISFIFO((made / "null.h5").stat().st_mode)
