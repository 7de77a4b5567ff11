"""The faults that may befall a rank, and the table of what became of the jobs, printed at the end of the tests."""

from __future__ import annotations

import pytest

from tests.support.failing import PHASES

FAULTS = {
    "unforeseen": "exception",
    "exit": "sys.exit",
    "kill": "SIGKILL",
    "memory": "out of memory",
    "stop": "SIGSTOP",
    "read": "stuck reading",
}
LOCKED = {"locked": "stuck, lock kept"}

#: The property under which a test's report, which may come from another process, brings its entry.
ENTRY = "fault"


def print_table(reporter: pytest.TerminalReporter) -> None:
    """Print the entries of all tests that brought one: by launcher, phases below each other and faults side by side."""
    reports = [report for kind in ("passed", "failed") for report in reporter.stats.get(kind, ())]
    entries = [value for report in reports for name, value in report.user_properties if name == ENTRY]
    found = {(phase, fault, launcher): entry for phase, fault, launcher, entry in entries}
    names = FAULTS | LOCKED
    for launcher in dict.fromkeys(launcher for _, _, launcher in found):
        reporter.section(f"faults under {launcher}: seconds until the job's end, and who ended it")
        lines = [["", *names.values()]]
        for phase in ("launch", *PHASES, "end"):
            lines.append([phase, *(found.get((phase, fault, launcher), "") for fault in names)])
        for first, *words in lines:
            reporter.write_line(f"{first:<12}" + "".join(f"{word:<23}" for word in words).rstrip())
