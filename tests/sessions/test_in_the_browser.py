"""A lab run as a notebook in a real browser, and what other users can see meanwhile."""

from __future__ import annotations

import base64
import os
import re
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT
from playwright.sync_api import Page, sync_playwright
from session_browser import chromium_program, looking_at
from session_fixtures import Desk
from session_watch import (
    arguments_of_all_processes,
    kernel_processes,
    processes_below,
    tcp_listeners,
    unix_listeners,
)

pytestmark = pytest.mark.slow

SCREENSHOT = TEMPLATE_ROOT / "build" / "screenshots" / "jupyter.png"
ADDRESS = r"(http://127\.0\.0\.1:\d+)"


@dataclass(frozen=True)
class Evening:
    """What was seen while somebody worked in JupyterLab and looked at TensorBoard."""

    script_is_kept: bool
    """Whether the script was the same, byte for byte, after the notebook was saved."""
    outputs: str
    """What the cells printed, as the page showed it."""
    matrix: bytes
    """The picture of the confusion matrix on the page."""
    matrix_file: bytes
    """The same picture as the lab has saved it on the server."""
    runs: list[str]
    """The runs that TensorBoard knew of."""
    processes: dict[int, str]
    """What ran on the server, with its arguments."""
    tcp: list[str]
    """Where it listened on TCP."""
    unix: list[str]
    tokens: list[str]
    arguments: set[bytes]
    """The command lines of all processes, of both sides."""
    logs: dict[str, str]
    """Everything that was written to a terminal or a log, by who wrote it."""


@pytest.fixture(scope="module")
def evening(shared_desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Evening:
    """Run every cell of the digit lab in the browser, then look at TensorBoard."""
    desk = shared_desk
    desk.end_sessions()  # what an attempt that failed has left
    shutil.rmtree(desk.there / "outputs" / "mnistlab", ignore_errors=True)
    script = desk.there / "labs" / "mnistlab.py"
    # The bundled data set, and few epochs: nothing is downloaded, and it does not take long.
    text = script.read_text().replace('dataset = "auto"', 'dataset = "digits"')
    text = text.replace("epochs = 0 ", "epochs = 4 ")
    script.write_text(text)
    folder = tmp_path_factory.mktemp("browsers")
    jupyter_browser = chromium_program(folder / "jupyter")
    board_browser = chromium_program(folder / "tensorboard")
    with sync_playwright() as playwright, arguments_of_all_processes() as arguments:
        jupyter = desk.start("jupyter", BROWSER=str(jupyter_browser.program))
        with looking_at(playwright, jupyter_browser, jupyter.read_until(ADDRESS)[1]) as page:
            outputs, matrix = run_all_cells(page)
            board = desk.start("tensorboard", BROWSER=str(board_browser.program))
            address = board.read_until(ADDRESS)[1]
            with looking_at(playwright, board_browser, address) as board_page:
                board_page.get_by_text("loss", exact=False).first.wait_for()
                runs = board_page.request.get(f"{address}/data/runs").json()
            processes = processes_below(desk.there) | kernel_processes(desk.there)
            tcp, unix = tcp_listeners(processes), unix_listeners(processes)
        folders = [
            Path(session.read_text().strip()) for session in desk.there.glob(".lab/jobs/*/session")
        ]
        # Other tests may have had sessions there before, which have ended.
        tokens = [(folder / "token").read_text() for folder in folders if folder.is_dir()]
        assert len(tokens) == 2
        pages = [path.read_text() for path in desk.project.path.glob(".lab/*.html")]
        assert all(any(token in page for page in pages) for token in tokens)
        for command in (jupyter, board):
            assert command.interrupt() == 0
    logs = {
        f"job {path.parent.name}": path.read_text() for path in desk.there.glob(".lab/jobs/*/log")
    }
    logs |= {"jupyter": jupyter.said, "tensorboard": board.said, "sshd": "\n".join(desk.server.log)}
    logs |= {"chromium": jupyter_browser.log, "chromium for TensorBoard": board_browser.log}
    desk.end_sessions()
    (matrix_file,) = desk.there.glob("outputs/mnistlab/*/confusion-matrix.png")
    return Evening(
        script.read_text() == text,
        outputs,
        matrix,
        matrix_file.read_bytes(),
        runs,
        processes,
        tcp,
        unix,
        tokens,
        arguments,
        logs,
    )


def run_all_cells(page: Page) -> tuple[str, bytes]:
    """Open the digit lab as a notebook, run it, and return what its cells printed and the matrix.

    A picture of the page with the confusion matrix on it is kept.
    """
    page.goto(re.sub(r"(//[^/]*)/.*", r"\1/lab/tree/labs/mnistlab.py", page.url))
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # in the status bar: it is connected
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.locator(".lm-Menu-item[data-command='runmenu:run-all']").click()
    page.get_by_text("The restored network gives the same answers: yes").wait_for(timeout=600_000)
    outputs = "\n".join(page.locator(".jp-OutputArea-output").all_inner_texts())
    cell = page.locator(".jp-CodeCell", has_text="confusion_heatmap")
    matrix = cell.locator(".jp-OutputArea-output img")
    matrix.scroll_into_view_if_needed()
    SCREENSHOT.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOT)
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.locator(".lm-Menu-item[data-command='docmanager:save']").click()
    page.locator(".lm-TabBar-tab.jp-mod-current:not(.jp-mod-dirty)").wait_for()
    source = matrix.get_attribute("src") or ""
    return outputs, base64.b64decode(source.removeprefix("data:image/png;base64,"))


def test_every_cell_of_the_lab_runs_as_a_notebook(evening: Evening) -> None:
    assert "The restored network gives the same answers: yes" in evening.outputs
    assert evening.matrix == evening.matrix_file


def test_saving_the_notebook_leaves_the_script_as_it_was(evening: Evening) -> None:
    assert evening.script_is_kept  # or the next push would be refused


def test_tensorboard_shows_the_run_of_the_notebook(evening: Evening) -> None:
    assert [run for run in evening.runs if run.startswith("mnistlab/")]


def test_nothing_on_the_server_listens_on_tcp(evening: Evening) -> None:
    programs = " ".join(evening.processes.values())
    assert " serve jupyter" in programs
    assert " serve tensorboard" in programs
    assert " lasting -f " in programs
    assert " lasting-kernel " in programs
    assert evening.tcp == []
    assert [path for path in evening.unix if re.search(r"/kernel-[-0-9a-f]+-ipc-\d$", path)]
    assert [path for path in evening.unix if re.search(r"/lab-kernels-\d+/[^/]+/s-\d$", path)]
    assert [path for path in evening.unix if re.search(r"/lab-kernels-.*/kernel-forked$", path)]


def test_a_listener_would_have_been_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert f"0100007F:{port:04X}" in tcp_listeners({os.getpid(): "this test"})


def test_token_is_in_no_command_line_and_no_log(evening: Evening) -> None:
    assert len(evening.tokens) == 2
    assert any(b"--remote-debugging-port" in one for one in evening.arguments)
    assert any(b"\0lasting\0-f\0" in one for one in evening.arguments)
    assert any(b"open-jupyter-" in one for one in evening.arguments)  # the page that was opened
    assert {"jupyter", "sshd", "chromium"} < evening.logs.keys()
    for token in evening.tokens:
        assert len(token) == 48
        assert [line for line in evening.arguments if token.encode() in line] == []
        assert [name for name, text in evening.logs.items() if token in text] == []
