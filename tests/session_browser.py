"""The person's browser: Chromium without a window, started by `lab` and looked at by the tests."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from needs import need_program
from playwright.sync_api import Page, Playwright

__all__ = ["Chromium", "chromium_program", "looking_at"]

PATIENCE = 180.0  # seconds until the browser must have started, and for each condition


@dataclass(frozen=True)
class Chromium:
    """A program that the variable BROWSER can name, and what it leaves behind."""

    folder: Path

    @property
    def program(self) -> Path:
        """What opens the page that it is given."""
        return self.folder / "browser"

    @property
    def log(self) -> str:
        """What the browser has said."""
        return (self.folder / "log").read_text(errors="replace")


def chromium_program(folder: Path) -> Chromium:
    """Write a program into `folder` that opens a page in Chromium, in a profile of its own."""
    chromium = need_program("chromium")
    made = Chromium(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made.program.write_text(
        f"#!/bin/sh\necho $$ >'{folder}/pid'\n"
        f"exec '{chromium}' --headless=new --no-sandbox --disable-gpu --no-first-run "
        f"--remote-debugging-port=0 --user-data-dir='{folder}/profile' "
        f"--window-size=1400,1180 \"$1\" >'{folder}/log' 2>&1\n"
    )
    made.program.chmod(0o755)
    return made


@contextmanager
def looking_at(playwright: Playwright, browser: Chromium, address: str) -> Iterator[Page]:
    """Wait until the browser shows a page of `address` and yield it; end the browser afterwards."""
    port_file = browser.folder / "profile" / "DevToolsActivePort"
    deadline = time.monotonic() + PATIENCE
    try:
        while not (port_file.is_file() and port_file.read_text().count("\n")):
            assert time.monotonic() < deadline, "the browser was not started"
            time.sleep(0.05)
        port = port_file.read_text().splitlines()[0]
        session = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
        context = session.contexts[0]
        page = context.pages[0] if context.pages else context.wait_for_event("page")
        page.set_default_timeout(1000 * PATIENCE)
        page.wait_for_url(f"{address}/**")
        yield page
    finally:
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((browser.folder / "pid").read_text()), signal.SIGTERM)
