"""Stopping politely: Ctrl-C and SIGTERM ask a run to finish its step and save."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

__all__ = ["StopRequest", "Stopped"]


class Stopped(Exception):
    """Raised by :meth:`StopRequest.check` where a run can stop."""


class StopRequest:
    """While entered, the first SIGINT or SIGTERM only sets ``signal``; a second one acts at once.

    Outside the main thread, where Python delivers no signals, it does nothing.

    >>> with StopRequest() as stop:
    ...     stop.check()  # nobody has asked: nothing happens
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.signal: int | None = None

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._note) for s in self.SIGNALS}
        else:
            self._before = {}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._restore()

    def check(self) -> None:
        """Raise if a stop was asked for.

        Raises:
            Stopped: after a signal.
        """
        if self.signal is not None:
            raise Stopped

    def leave(self) -> None:
        """End the program, or the notebook's cell, as the signal would have.

        Raises:
            KeyboardInterrupt: after SIGINT.
            SystemExit: with status 143 after SIGTERM.
        """
        if self.signal == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._restore()  # so that a second signal acts at once

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
