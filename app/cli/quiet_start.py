"""Lets signals end a command quietly while it is still being imported, or the service starts.

Importing this module gives SIGINT back to the system, so that Ctrl-C prints no traceback while
other modules are imported; ``end`` hands it to Python again.
"""

import signal
import sys
from types import FrameType
from typing import Any

# Whoever started us may have said that Ctrl-C is not for us (nohup): that stays.
_is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
if _is_ours:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
_signals: list[int] = []


def end() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, which the command line knows how to end by."""
    if _is_ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def exit_on_signals() -> None:
    """Exit with 0 at SIGINT and SIGTERM: there is nothing to wait for yet.

    Python drops an exit that is raised in a finalizer or in a weak reference's callback. So what
    starts the service asks ``is_stopped`` once it handles signals itself.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)
    report = sys.unraisablehook

    def report_others(dropped: Any) -> None:
        if not isinstance(dropped.exc_value, SystemExit):
            report(dropped)

    sys.unraisablehook = report_others


def is_stopped() -> bool:
    """Return whether a signal came that was to end the process."""
    return bool(_signals)


def _exit(number: int, _: FrameType | None) -> None:
    _signals.append(number)
    sys.exit(0)
