"""Signals that end a command in the same way as Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["interrupt_on_signals"]


@contextmanager
def interrupt_on_signals() -> Iterator[None]:
    """Make the signals of a closed terminal or a shutdown end the block as Ctrl-C does.

    One that is ignored from the beginning stays so: `nohup` asks for that.
    """
    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {
        number: signal.signal(number, signal.default_int_handler)
        for number in numbers
        if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
