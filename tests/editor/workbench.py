"""Driving VS Code's own workbench: code-server, opened in a headless Chromium."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from baking import TEMPLATE_ROOT
from editor.node_tools import PROGRAMS, install_node_tools, node_environment
from needs import IS_ROOT, need_program
from playwright.sync_api import Locator, Page, TimeoutError, expect, sync_playwright

__all__ = ["Workbench", "serve_workbench"]

EXTENSIONS = Path(__file__).with_name("extensions")
SCREENSHOTS = TEMPLATE_ROOT / "build" / "screenshots"
USUAL_SIZE = {"width": 1280, "height": 800}
PATIENCE = 180_000  # milliseconds until a condition that does not come true counts as a failure
expect.set_options(timeout=PATIENCE)
# What a person would have to click away, and a terminal whose text can be read from the page.
USER_SETTINGS = {
    "chat.disableAIFeatures": True,
    "extensions.ignoreRecommendations": True,
    "security.workspace.trust.startupPrompt": "always",
    "telemetry.telemetryLevel": "off",
    "terminal.integrated.gpuAcceleration": "off",
    "terminal.integrated.stickyScroll.enabled": False,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.startupEditor": "none",
}


class Workbench:
    """A window of VS Code with a folder open in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.set_default_timeout(PATIENCE)

    def trust_folder(self) -> None:
        """Click the answer to the first question that VS Code has about a folder."""
        self.page.locator(".monaco-dialog-box").get_by_text("Yes, I trust the authors").click()
        expect(self.page.locator(".monaco-dialog-box")).to_have_count(0)

    def choose(self, typed: str, entry: str | re.Pattern[str]) -> None:
        """Type into the quick open field and choose `entry`; open the field again until that works.

        A window that has just been opened waits 800 ms for the commands of its extensions. After
        that the command palette lists what there is, and shows no later command until it is opened
        again. It closes when the window gives the focus to something else.
        """
        field = self.page.locator(".quick-input-widget")
        deadline = time.monotonic() + PATIENCE / 1000
        patience = 3_000
        while True:
            row = self.list_entries(typed).filter(has_text=entry).first
            try:
                row.click(timeout=patience)
                break
            except TimeoutError:
                assert time.monotonic() < deadline, f"{entry!r} cannot be chosen for {typed!r}"
            patience *= 2  # the list itself may take long
            self.page.keyboard.press("Escape")
            expect(field).to_be_hidden()
        expect(field).to_be_hidden()

    def list_entries(self, typed: str) -> Locator:
        """Type into the quick open field and return what it lists."""
        self.page.keyboard.press("Control+p")
        field = self.page.locator(".quick-input-widget input").first
        expect(field).to_be_visible()
        field.fill(typed)
        return self.page.locator(".quick-input-list .monaco-list-row")

    def open_file(self, name: str) -> None:
        """Open a file of the folder in an editor."""
        base = Path(name).name
        self.choose(name, base)
        expect(self.page.locator(".tab.active")).to_contain_text(base)
        expect(self.page.locator(".editor-instance .view-lines")).not_to_be_empty()

    def command(self, title: str) -> None:
        """Run a command of the command palette."""
        self.choose(f">{title}", title)

    def reload(self) -> None:
        """Reload the window; a fresh extension host takes the place of the one that was."""
        with self.page.expect_event("domcontentloaded"):
            self.command("Developer: Reload Window")
        expect(self.page.locator(".explorer-folders-view")).to_be_visible(timeout=PATIENCE)

    def problems(self) -> Locator:
        """Show the Problems panel and return the problems in it, one element each."""
        self.command("Problems: Focus on Problems View")
        return self.page.locator(".markers-panel .monaco-list-row .marker-icon")

    def greyed_out(self) -> Locator:
        """Return the settings, in the editor, that VS Code does not know or would ignore."""
        return self.page.locator(".editor-instance .squiggly-unnecessary")

    def terminal_text(self) -> Locator:
        """Return what is in the terminal."""
        return self.page.locator(".terminal-wrapper.active .xterm-rows")

    def show_all_lines(self) -> None:
        """Make the window so high that no line of a settings file is out of sight."""
        self.page.set_viewport_size({"width": 1600, "height": 2600})

    def screenshot(self, name: str) -> None:
        """Save a picture of the window, in its usual size, to build/screenshots/."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.set_viewport_size(USUAL_SIZE)  # type: ignore[arg-type]
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


@contextmanager
def serve_workbench(folder: Path, *, state: Path) -> Iterator[Workbench]:
    """Open `folder` in a workbench; what the server and the browser remember goes to `state`."""
    chromium = need_program("chromium")
    entry = install_node_tools() / "code-server" / "out" / "node" / "entry.js"
    shutil.copytree(EXTENSIONS, state / "extensions")
    settings = state / "user" / "User" / "settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(USER_SETTINGS), encoding="utf-8")
    command = [str(PROGRAMS / "node"), str(entry), "--auth=none", "--bind-addr=127.0.0.1:0"]
    log = state / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [
                *command,
                "--disable-telemetry",
                "--disable-update-check",
                "--disable-getting-started-override",
                f"--user-data-dir={state / 'user'}",
                f"--extensions-dir={state / 'extensions'}",
            ],
            env={**node_environment(), "HOME": str(state)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        address = _address(server, log)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium,
                # Chromium's sandbox refuses to start for root.
                chromium_sandbox=not IS_ROOT,
            )
            page = browser.new_page(viewport=USUAL_SIZE)  # type: ignore[arg-type]
            page.goto(f"{address}?folder={folder}", wait_until="domcontentloaded")
            yield Workbench(page)
            browser.close()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until the server says where it listens."""
    while not (found := re.search(r"listening on (http://\S+)", log.read_text())):
        assert server.poll() is None, log.read_text()
        time.sleep(0.05)
    return found.group(1)
