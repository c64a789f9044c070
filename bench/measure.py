"""Measure a process: CPU time, memory, and elapsed time."""

import os
import subprocess
import sysconfig
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

TAP = Path(sysconfig.get_path("scripts")) / "tap-zohovoice"
MEBI = 1024 * 1024
_PATIENCE_SECONDS = 1_800.0
_LOOK_SECONDS = 0.01
_LAST_LINES = 5


class FailedError(Exception):
    """A process failed; the text is the end of its output."""


@dataclass(frozen=True)
class Cost:
    """Measurements of a process."""

    cpu: float  # seconds of processor time, of its own children too, in user and system mode
    wall: float  # seconds from start to end
    peak: int  # largest resident memory, in bytes

    @classmethod
    def least(cls, costs: Collection["Cost"]) -> Self:
        """Return the least of several runs: other load on the machine only adds time."""
        return cls(
            min(cost.cpu for cost in costs),
            min(cost.wall for cost in costs),
            min(cost.peak for cost in costs),
        )


def measure(command: Sequence[str | Path], environment: Mapping[str, str], output: Path) -> Cost:
    """Run a process to its end, or kill it; its standard error goes beside the output.

    Its memory is read from `VmHWM` while it runs: the `ru_maxrss` that comes with its end starts
    with the memory of the process that started it.
    """
    log = output.with_suffix(".log")
    with output.open("wb") as out, log.open("wb") as err:
        begun = time.monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment)
        peak = 0
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            peak = max(peak, _high_water(process.pid))
            if time.monotonic() - begun > _PATIENCE_SECONDS:
                process.kill()
            time.sleep(_LOOK_SECONDS)
        wall = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        lines = log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        message = "\n".join([f"{command[0]} ended with {process.returncode}", *lines])
        raise FailedError(message)
    return Cost(usage.ru_utime + usage.ru_stime, wall, peak)


def verdict(limits: Iterable[tuple[str, float, float]]) -> int:
    """Print the ratios that exceed their limits; return 1 if any does."""
    missed = [
        f"{what}: {ratio:.2f}, the limit is {most:.2f}"
        for what, ratio, most in limits
        if ratio > most
    ]
    print("\n" + "\n".join(missed or ["All ratios are within their limits."]))
    return 1 if missed else 0


def _high_water(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    line = next((line for line in text.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(line.split()[1]) * 1024
