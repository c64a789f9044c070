"""A person at a terminal, for tests of questions and of what is drawn."""

import codecs
import os
import pty
import select
import termios
import time
from pathlib import Path
from typing import Self

_PATIENCE = 20.0  # seconds


class Terminal:
    """A command that runs at a terminal of its own while a `with` block lasts.

    Once `rest` is there, `exit_code` is how it ended; negative for a signal.
    """

    def __init__(self, command: list[str]) -> None:
        self.exit_code: int | None = None
        self._command = command
        self._screen = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._read = 0
        self._pid = 0
        self._fd = -1

    def __enter__(self) -> Self:
        self._pid, self._fd = pty.fork()
        if not self._pid:
            os.execv(self._command[0], self._command)  # noqa: S606 - the test's own command
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._fd)  # whoever still runs is told to hang up
        if self.exit_code is None:
            os.waitpid(self._pid, 0)

    def answer(self, question: str, line: str) -> None:
        self.press(question, line + "\n")

    def wait_for(self, text: str) -> None:
        """Wait for a text, behind the one that was waited for before."""
        end = time.monotonic() + _PATIENCE
        while text not in self._screen[self._read :]:
            assert time.monotonic() < end, self._screen
            assert self._look(), self._screen
        self._read = self._screen.index(text, self._read) + len(text)

    def press(self, question: str, keys: str) -> None:
        self.wait_for(question)
        end = time.monotonic() + _PATIENCE
        # A question for a secret is asked a moment before typing is hidden.
        while ("not shown" in question and self.echoes()) or not self._is_sleeping():
            assert time.monotonic() < end
            time.sleep(0.01)
        os.write(self._fd, keys.encode())

    def rest(self) -> str:
        """Wait for the end, and return all that was on the screen."""
        while self._look():
            pass
        self.exit_code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return self._screen

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._fd)[3] & termios.ECHO)

    def _is_sleeping(self) -> bool:
        """Whether it waits for input; a signal just before would be handled after the next line."""
        try:
            stat = Path(f"/proc/{self._pid}/stat").read_text(encoding="utf-8")
        except OSError:  # a system without /proc
            return True
        return stat.rpartition(")")[2].split()[0] == "S"

    def _look(self) -> bool:
        """Read what is new on the screen; tell whether there can be more."""
        assert select.select([self._fd], [], [], _PATIENCE)[0], self._screen
        try:
            new = os.read(self._fd, 4096)
        except OSError:  # the other side is closed
            return False
        self._screen += self._decoder.decode(new).replace("\r\n", "\n")
        return bool(new)
