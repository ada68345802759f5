"""Cards are handed out one run at a time, first come, first served, whoever the people are."""

from __future__ import annotations

import fcntl
import os
import pwd
import signal
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openssh_server
import pytest
from far.four_cards import Cards
from needs import need_root
from tool_helpers import wait_until

from ml_remote.far.exit_codes import ExitCode
from ml_remote.far.installed import install
from ml_remote.far.login import card_locks, cards, nvidia_smi
from ml_remote.far.login.card_locks import CardError, CardFolder


def test_free_cards_are_taken_and_others_waited_for(four: Cards) -> None:
    four.busy(four.names[0])
    with cards.held(2) as mine:
        assert mine == four.names[1:3]
        with cards.held(1) as other:
            assert other == four.names[3:]
            places: list[tuple[int, int]] = []
            got: list[list[str]] = []

            def wait() -> None:
                with cards.held(2, lambda *now: places.append(now)) as late:
                    got.append(late)

            waiting = threading.Thread(target=wait)
            waiting.start()
            wait_until(lambda: places)
            four.busy()
            assert (places, got) == ([(1, 1)], [])  # one card is free, and two are wanted
            shown = list(CardFolder().lines())
            assert [line[1] for line in shown if line[0] == "card"] == sorted(four.names[1:])
            assert [line[1:3] for line in shown if line[0] == "waiting"] == [["1", "2"]]
        waiting.join(30)
        assert got == [[four.names[0], four.names[3]]]
    assert list(CardFolder().lines()) == []


@pytest.mark.parametrize(
    ("listed", "visible", "count", "said"),
    [
        (None, None, 5, "This machine has 4 cards, but the run needs 5."),
        (None, "0,GPU-", 5, "This machine has 4 cards, but the run needs 5."),
        (None, "1", 2, "This machine has 1 card, but the run needs 2."),
        (None, "", 1, "no usable NVIDIA card"),
        ("GPU 0: A100 (UUID: GPU-1)\n  MIG 1g.5gb Device 0: (UUID: MIG-2)\n"
         "  MIG 1g.5gb Device 1: (UUID: MIG-3)\nGPU 1: A100 (UUID: GPU-4)\n",
         None, 4, "This machine has 3 cards, but the run needs 4."),
    ],
)  # fmt: skip
def test_more_cards_than_there_are_is_a_sentence_at_once(
    four: Cards,
    listed: str | None,
    visible: str | None,
    count: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if listed is not None:
        (four.folder / "listed").write_text(listed)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(CardError, match=said):
        cards.check_count(count)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("#!/bin/sh\necho\necho 'NVIDIA-SMI has failed'\nexit 9\n", "fails: NVIDIA-SMI has failed"),
        ("#!/bin/sh\nexec sleep 60\n", "nvidia-smi has not answered for 0.2 s"),
        (None, "there is no nvidia-smi"),
    ],
    ids=["fails", "hangs", "is missing"],
)
def test_driver_that_cannot_tell_is_told_in_words(
    four: Cards, program: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvidia_smi, "_PATIENCE", 0.2)
    if program is None:
        (four.folder / "nvidia-smi").unlink()
    else:
        (four.folder / "nvidia-smi").write_text(program)
    with pytest.raises(CardError, match=said):
        nvidia_smi.cards()


def test_who_waits_stays_in_line_while_the_driver_fails_for_a_moment(four: Cards) -> None:
    listing = (four.folder / "busy").read_text()
    (four.folder / "busy").unlink()  # then the stand-in fails
    got: list[list[str]] = []

    def mend(*_: int) -> None:
        (four.folder / "busy").write_text(listing)

    def wait() -> None:
        try:
            with cards.held(1, mend) as mine:
                got.append(mine)
        except CardError:
            got.append([])

    waiting = threading.Thread(target=wait)
    waiting.start()
    waiting.join(30)
    assert got == [[four.names[0]]]
    (four.folder / "busy").unlink()
    with pytest.raises(CardError, match="nvidia-smi fails"), cards.held(1):
        pass


def test_what_others_have_put_there_is_refused(four: Cards) -> None:
    folder = Path(card_locks.FOLDER)
    first, second, third, fourth = four.names
    folder.symlink_to(four.folder)
    with pytest.raises(CardError, match="is not a folder"):
        CardFolder()
    folder.unlink()
    opened = CardFolder()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
    precious = four.folder / "precious"
    precious.write_text("mine")
    (folder / first).symlink_to(precious)
    (folder / second).mkdir()
    os.mkfifo(folder / third)
    for name in (first, second, third):
        with pytest.raises(CardError, match="is not an ordinary file"):
            opened.lock(name)
    assert precious.read_text() == "mine"
    old = os.umask(0o077)
    try:
        handle = opened.lock(fourth)
    finally:
        os.umask(old)
    assert handle is not None
    assert stat.S_IMODE((folder / fourth).stat().st_mode) == 0o644
    assert opened.lock(fourth) is None
    # A file that was cleaned away while it was held is no lock any more; the new one is.
    (folder / fourth).unlink()
    again = opened.lock(fourth)
    assert again is not None
    assert os.path.samestat(os.fstat(again), (folder / fourth).stat())


def test_lock_of_another_user_is_opened_without_making_it(
    four: Cards, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fs.protected_regular refuses O_CREAT on it, even for root; here the flags count."""
    opened = CardFolder()
    path = Path(card_locks.FOLDER) / four.names[0]
    path.write_text("")
    flags: list[int] = []
    real = os.open

    def spy(name: str, given: int, *more: int, **where: int) -> int:
        flags.append(given)
        return real(name, given, *more, **where)

    monkeypatch.setattr(os, "open", spy)
    handle = opened.lock(four.names[0])
    assert handle is not None
    (one,) = flags
    assert not one & (os.O_CREAT | os.O_WRONLY | os.O_RDWR | os.O_TRUNC)
    assert one & os.O_NOFOLLOW


def test_ticket_without_a_lock_is_dead(four: Cards) -> None:
    opened = CardFolder()
    first, second = (opened.ticket(four.names, 1, "") for _ in range(2))
    assert (opened.place(first), opened.place(second)) == ((1, 2), (2, 2))
    dead = Path(card_locks.FOLDER) / first.name.replace("000001", "000000")
    dead.write_text("{")
    assert opened.place(second) == (2, 2)
    assert not dead.exists()
    first.close()
    assert opened.place(second) == (1, 1)
    third = opened.ticket(four.names, 1, "")
    assert opened.place(third) == (2, 2)
    # What a holder has written is anything.
    with (Path(card_locks.FOLDER) / second.name).open("r+") as file:
        for text in ("\0[", '{"cards": 3, "run": "\\u001b[2J", "wants": -1}'):
            file.seek(0)
            file.write(text.ljust(600))
            file.flush()
            assert opened.place(third) == (2, 2)
            assert next(line[2:3] + line[4:] for line in opened.lines()) == ["0", "", "0"]


def test_dead_ticket_of_another_account_keeps_nobody_from_the_line(
    four: Cards, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = CardFolder()
    first = opened.ticket(four.names, 1, "")
    line = str(Path(card_locks.FOLDER, first.name.partition(".")[0]))
    for number in (2, 3, 10**9, 10**15 - 1, 10**16 - 1):
        Path(f"{line}.{number:06}").touch()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)  # then they are somebody else's
    with Path(f"{line}.{10**15 - 2}").open("w") as held:  # so high a number counts for nothing
        fcntl.flock(held, fcntl.LOCK_EX)
        later = [opened.ticket(four.names, 1, "") for _ in range(2)]
        assert [opened.place(one) for one in (first, *later)] == [(1, 3), (2, 3), (3, 3)]
    first.close()
    assert [opened.place(one) for one in later] == [(1, 2), (2, 2)]
    with Path(f"{line}.{10**9}").open("w") as held:  # the last of all numbers: as good as a lock
        fcntl.flock(held, fcntl.LOCK_EX)
        assert opened.place(opened.ticket(four.names, 1, ""))[0] > 2


def test_line_is_one_for_those_who_may_get_the_same_card(four: Cards) -> None:
    opened = CardFolder()
    a, b, c, d = four.names
    tickets = [
        opened.ticket(names, 1, "") for names in ([a, b], [c], [b, c], [c, d, a], four.names)
    ]
    assert [opened.place(one) for one in tickets] == [(1, 4), (1, 4), (3, 5), (4, 5), (5, 5)]
    tickets[1].note([c])
    tickets[0].close()
    assert [opened.place(one) for one in tickets[2:]] == [(1, 3), (2, 3), (3, 3)]
    many = opened.ticket([f"MIG-{number}" for number in range(99)], 1, "")
    assert opened.place(many) == (4, 4)


def command(four: Cards, count: int, *words: str) -> list[str]:
    """Return a program with cards of its own, by the Python and the far half that a machine has."""
    far = install(four.folder / ".lab" / "far")
    return ["python3", str(far), "cards", str(count), "--", *words]


@contextmanager
def started(four: Cards, log: Path, *words: str, who: pwd.struct_passwd) -> Iterator[int]:
    """Run a program with four cards, as somebody; yield the process that holds them."""
    variables = {"PATH": f"{four.folder}:/usr/bin:/bin"}
    with log.open("w") as file:
        process = subprocess.Popen(
            command(four, 4, *words),
            env=variables,
            stdout=file,
            stderr=file,
            user=who.pw_uid,
            group=who.pw_gid,
            extra_groups=[],
        )
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_two_accounts_wait_for_each_other_in_order(tmp_path: Path) -> None:
    """In the real folder: a card is another one's until its holder ends, however that happens."""
    need_root("make accounts")
    four = Cards(tmp_path)
    tmp_path.chmod(0o777)
    for above in tmp_path.parents[:3]:
        above.chmod(above.stat().st_mode | 0o055)
    script = "echo has $CUDA_VISIBLE_DEVICES; exec sleep 60"
    logs = [tmp_path / f"{number}.log" for number in range(3)]

    def text(number: int) -> str:
        return logs[number].read_text()

    with openssh_server.account() as ada, openssh_server.account() as ben:
        one, two = (pwd.getpwnam(account.user) for account in (ada, ben))
        with (
            started(four, logs[0], "sh", "-c", script, who=one) as first,
            started_after(logs[0], "has"),
            started(four, logs[1], "sh", "-c", script, who=two) as second,
            started_after(logs[1], "number 1 of 1 in line"),
            started(four, logs[2], "sh", "-c", script, who=one),
            started_after(logs[2], "number 2 of 2 in line"),
        ):
            assert f"has {','.join(four.names)}" in text(0)
            shown = [line for line in CardFolder().lines() if line[1] in four.names]
            assert [line[2] for line in shown] == [ada.user] * 4
            os.kill(first, signal.SIGKILL)
            wait_until(lambda: "has" in text(1), limit=60)
            wait_until(lambda: "number 1 of 1 in line" in text(2), limit=60)
            assert "has" not in text(2)
            os.kill(second, signal.SIGKILL)
            wait_until(lambda: "has" in text(2), limit=60)
            assert "has GPU" in text(2)
    for name in four.names:
        Path(card_locks.FOLDER, name).unlink()


@contextmanager
def started_after(log: Path, text: str) -> Iterator[None]:
    wait_until(lambda: text in log.read_text(), limit=60)
    yield


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "words", "code", "said"),
    [
        (2, ["sh", "-c", "echo $CUDA_VISIBLE_DEVICES; exit 3"], 3, "{0},{1}\n"),
        (1, ["sh", "-c", "kill -TERM $$"], 143, ""),
        (0, ["sh", "-c", "echo none:$CUDA_VISIBLE_DEVICES"], 0, "none:\n"),
        (1, ["no-such-program"], 127, "no such program"),
        (9, ["true"], ExitCode.NO_CARDS, "Error: This machine has 4 cards, but the run needs 9."),
    ],
)
def test_program_has_its_cards_and_its_exit_code(
    tmp_path: Path, count: int, words: list[str], code: int, said: str
) -> None:
    four = Cards(tmp_path)
    variables = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(
        command(four, count, *words), env=variables, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    assert said.format(*four.names) in done.stdout + done.stderr
    for name in four.names:
        Path(card_locks.FOLDER, name).unlink(missing_ok=True)
