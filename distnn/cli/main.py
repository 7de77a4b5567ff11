"""The command ``distnn``: finds the verb, and turns what goes wrong into one message and an exit code.

Exit codes: 0 finished; 1 error; 2 bad usage, run file or data; 75 stopped early, more to do; 130 interrupted.
"""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from distnn import __version__
from distnn.cli.launch import INTERRUPTED, report_once
from distnn.errors import DistnnError, UsageError, complain, exit_code, nearest
from distnn.report.output import open_closed_streams
from distnn.runtime import launch_rank, note_signals

#: Each verb, with its line in the help. Written here so that the help needs no verb's imports.
VERBS = {
    "data": "Make a data file: digits, fashion-mnist, idx, npz, csv, parquet, images or text.",
    "init": "Write a run file to start from.",
    "train": "Train the model that a run file describes.",
    "evaluate": "Loss and accuracy of a checkpoint on a data file.",
    "predict": "A checkpoint's predictions for a data file.",
    "sample": "Text that a trained language model writes.",
    "inspect": "What is in a checkpoint or data file.",
    "compare": "Runs side by side: settings, speed and scores, as a table and a plot.",
    "graph": "Draw a run file's model, with shapes and counts.",
    "plan": "Predict how fast a run file trains on more nodes, and what that costs.",
    "submit": "Train in a Slurm job, checked before it waits in the queue.",
    "doctor": "Check a launch: its ranks, cores, libraries and speeds, with advice.",
}


class Verbs(click.Group):
    """The group of `VERBS`: a verb's module, ``distnn.cli.<verb>``, is imported when the verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order in which one uses them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command; None if there is no such verb."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = getattr(importlib.import_module(f"distnn.cli.{cmd_name}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but an unknown verb brings the nearest one."""
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            ctx.fail(f"there is no command '{args[0]}'{nearest(args[0], VERBS)}; there are {', '.join(VERBS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__, message="distnn %(version)s")
def distnn() -> None:
    """Train neural networks on the CPUs of one machine or of many, data-parallel over MPI.

    \b
    Example:
      distnn data digits -o digits.h5
      mpiexec -n 2 distnn train data/digits.toml
      distnn evaluate runs/digits data/digits.h5

    'distnn COMMAND --help' explains a command, with an example.
    """


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line ``args`` (that of the process if None), and exit with its code.

    Under a launcher every rank comes here and meets the same mistake; the one that the launcher numbers 0 reports it.
    """
    open_closed_streams()
    args = sys.argv[1:] if args is None else list(args)
    if args[:1] == ["train"]:
        note_signals()
    if launch_rank() and {"-h", "--help", "--version"} & set(args):
        sys.exit(0)
    try:
        result = distnn.main(args=args, prog_name="distnn", standalone_mode=False)
    except click.ClickException as error:
        report_once(_usage(error))
        sys.exit(UsageError.exit_code)
    except DistnnError as error:
        _report(error)
        sys.exit(exit_code(error))
    except (KeyboardInterrupt, click.Abort):
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # who interrupts again won't wait
        report_once("distnn: interrupted")
        sys.exit(INTERRUPTED)
    # click returns the code of ctx.exit() (as --help calls it), or what the verb returned.
    sys.exit(result if isinstance(result, int) else 0)


def _usage(error: click.ClickException) -> str:
    """What was wrong with the command line, and where its help is; the help itself where nothing was asked."""
    message = error.format_message()
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):  # since click 8.2
        return message
    command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "distnn"
    return f"distnn: error: {message}\nTry '{command} --help'."


def _report(error: DistnnError) -> None:
    """Print an error: once if every rank must have met it, else on each rank that did."""
    if isinstance(error, UsageError) or launch_rank() == 0:
        report_once(f"distnn: error: {error}")
    else:
        complain(f"distnn: error: rank {launch_rank()}: {error}")
