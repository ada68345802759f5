"""A machine that lies: a real OpenSSH server whose answers are changed on their way to the laptop.

Every command that comes is run as it is, so that conversations get as far as they do with an honest
machine. What it prints passes through a program that can put hostile text in the place of any word
of any answer, pretend to be ssh that fails, or print without end. It keeps what it receives.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from needs import need_program
from openssh_server import OpenSSHServer, sftp_server

__all__ = ["Lie", "LyingMachine", "hostile_texts"]

_LIAR = r"""#!{python} -S
import fcntl, json, os, re, subprocess, sys, threading
state = {state!r}
os.chdir(os.environ["HOME"])
command = os.environ.get("SSH_ORIGINAL_COMMAND", "")
with open(state + "/calls", "a+") as calls:
    fcntl.flock(calls, fcntl.LOCK_EX)
    calls.seek(0)
    number = len(calls.read())
    calls.write("x")
received = open("%s/received-%d" % (state, number), "wb")
received.write(repr((command, dict(os.environ))).encode() + b"\n")
received.flush()
with open(state + "/lie.json") as file:
    lie = json.load(file)
if lie.get("call") != number:
    lie = {{}}
text = lie.get("text", "").encode("utf-8", "surrogateescape")
out = sys.stdout.buffer
is_script = command == "sh '-c' ':'" or command.startswith("sh '-c' 'read -r lab;")
if lie.get("kind") == "ssh":
    sys.stderr.buffer.write(text + b"\n")
    sys.exit(255)
if lie.get("kind") == "code" and is_script:
    out.write(b"== lab ==\n" + text + b"\n")
    sys.stderr.buffer.write(text + b"\n")
    sys.exit(lie["code"])
if lie.get("kind") == "endless" and is_script:
    out.write(b"== lab ==\n")
    for _ in range(4000):
        out.write(text[:200] * 500)
    sys.exit(0)
if lie and not is_script:
    sys.stderr.buffer.write(text + b"\n")
    sys.stderr.flush()
child = subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def pass_on():
    try:
        while True:
            piece = os.read(0, 65536)
            if not piece:
                break
            received.write(piece)
            received.flush()
            child.stdin.write(piece)
            child.stdin.flush()
        child.stdin.close()
    except OSError:
        pass


threading.Thread(target=pass_on, daemon=True).start()
words = 0
try:
    while True:
        piece = os.read(child.stdout.fileno(), 65536)
        if not piece:
            break
        if is_script:
            parts = re.split(rb'([ \t\n",:{{}}\[\]]+)', piece)
            for index in range(0, len(parts), 2):
                if parts[index] not in (b"", b"==", b"lab"):
                    if words == lie.get("word"):
                        parts[index] = text if lie["kind"] == "instead" else parts[index] + text
                    words += 1
            piece = b"".join(parts)
        out.write(piece)
        out.flush()
except OSError:
    child.kill()
code = child.wait()
with open("%s/words-%d" % (state, number), "w") as file:
    file.write(str(words))
os._exit(code if code >= 0 else 128 - code)
"""


@dataclass(frozen=True, kw_only=True)
class Lie:
    """One way in which one answer is changed."""

    call: int
    """Which command it is that gets this answer, of those that come; from 0."""
    kind: str
    """`instead` of a word or `behind` it, `code` (another exit code), `ssh` (it seems to fail),
    or `endless`."""
    text: str
    word: int = 0
    code: int = 0


class LyingMachine:
    """The server, and what was received by it."""

    def __init__(self, server: OpenSSHServer) -> None:
        self.server = server
        self.state = server.account.home / "liar"
        self.state.mkdir()
        self.state.chmod(0o777)
        program = server.account.home / "liar.py"
        program.write_text(_LIAR.format(python=_python(), state=str(self.state)))
        program.chmod(0o755)
        self.be_honest()
        server.stop()
        # At this level, it notes where a forwarded socket was to lead.
        server.start(
            ForceCommand=str(program), LogLevel="DEBUG1", Subsystem=f"sftp {sftp_server()}"
        )

    def be_honest(self) -> None:
        """Change no answer from now on; commands are counted from 0."""
        self._prepare({})

    def tell(self, lie: Lie) -> None:
        """Tell this lie from now on; commands are counted from 0."""
        self._prepare(vars(lie))

    def _prepare(self, lie: Mapping[str, object]) -> None:
        for path in self.state.glob("words-*"):
            path.unlink(missing_ok=True)
        for path in self.state.glob("received-*"):
            path.rename(self.state / f"old-{len(list(self.state.iterdir()))}")
        (self.state / "calls").unlink(missing_ok=True)
        (self.state / "lie.json").write_text(json.dumps(lie))

    def answers(self) -> list[int]:
        """Return how many words each answer had since it was told what to do."""
        calls = self.state / "calls"
        number = len(calls.read_text()) if calls.exists() else 0
        files = [self.state / f"words-{call}" for call in range(number)]
        return [int(file.read_text() or 0) if file.exists() else 0 for file in files]

    def lies(self, seed: str, texts: list[str], number: int) -> Iterator[Lie]:
        """Yield lies about the answers that were given last, always the same for a seed."""
        answers = self.answers()
        dice = random.Random(seed)
        for _ in range(number if answers else 0):
            call = dice.randrange(len(answers))
            kinds = ["ssh", "code"] + ["instead", "behind"] * (3 if answers[call] else 0)
            yield Lie(
                call=call,
                kind=dice.choice(kinds),
                text=dice.choice(texts),
                word=dice.randrange(max(1, answers[call])),
                code=dice.choice([0, 1, 3, 4, 5, 7, 8, 9, 10, 11, 75, 90, 137]),
            )

    def received(self) -> bytes:
        """Return all that the laptop has sent, and what the server noted."""
        files = [*self.state.glob("received-*"), *self.state.glob("old-*")]
        return b"".join(file.read_bytes() for file in files) + "\n".join(self.server.log).encode()


def hostile_texts(touched: Path) -> list[str]:
    """Return texts that do harm where somebody obeys them; a command makes the file `touched`."""
    touch = f"touch {touched}"
    return [
        "\x1b]52;c;Y3VybA==\x07",
        "\x1b[2J\x1b[1;1H",
        "\x9b2J\u202e\u2066",
        "${HF_TOKEN}",
        "/tmp/%u/${HF_TOKEN}",
        "../../../../escape",
        f"/../{touched.name}",
        f"!{touch}",
        f"\n!{touch}\n",
        f"$({touch})",
        f"`{touch}`",
        f"; {touch} #",
        f"\"'; {touch}; '\"",
        f"\r\nNext: {touch}\r\n",
        f"-oProxyCommand={touch}",
        f"Permissions 0644 for 'x\"; {touch}; \"' are too open",
        f"Bad owner or permissions on x; {touch}",
        "x" * 100_000,
        "9" * 5_000,
        "-1",
        "1e999",
        "\t\t\t\t",
        "[]",
        '{"a": 1, "a": 2}',
        "null",
        "\0",
        "\udcff\udcfe",
        "",
    ]


def _python() -> str:
    return shutil.which("python3", path="/usr/bin:/usr/local/bin") or need_program("python3")
