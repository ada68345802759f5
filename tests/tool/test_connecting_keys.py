"""Which key `lab connect` logs in with: one that is found, one in the agent, or a new one."""

from __future__ import annotations

import pytest
from openssh_server import Account, Laptop, OpenSSHServer
from tool.logging_in import ALIAS, add_to_agent, forget, login
from tool_helpers import Lab, files_in


@pytest.mark.slow
def test_key_that_logs_in_already_is_named_and_nothing_copied(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, account: Account
) -> None:
    key = laptop.make_key("id_ed25519")
    account.authorize(key.with_suffix(".pub").read_text())
    there = account.authorized_keys.read_bytes()
    done = lab("connect", server.address, "--yes")
    assert done.returncode == 0, done.stderr
    entry = (laptop.ssh / "ml-remote.d" / f"{ALIAS}.conf").read_text()
    assert f'IdentityFile "{key}"' in entry
    assert "IdentitiesOnly yes" in entry
    assert not (laptop.ssh / "ml-remote.d" / f"{ALIAS}.key").exists()
    assert account.authorized_keys.read_bytes() == there


@pytest.mark.slow
def test_key_of_the_person_is_copied_rather_than_a_new_one_made(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, account: Account, password: dict[str, str]
) -> None:
    key = laptop.make_key("id_rsa", key_type="rsa")
    before = key.read_bytes()
    done = lab("connect", server.address, "--yes", **password)
    assert done.returncode == 0, done.stderr
    blob = key.with_suffix(".pub").read_text().split()[1]
    assert account.authorized_keys.read_text().split()[1] == blob
    assert not (laptop.ssh / "ml-remote.d" / f"{ALIAS}.key").exists()
    assert key.read_bytes() == before


@pytest.mark.slow
def test_agent_only_key_logs_in_and_is_pinned_by_its_public_half(
    lab: Lab,
    laptop: Laptop,
    server: OpenSSHServer,
    account: Account,
    agent: dict[str, str],
) -> None:
    key = laptop.make_key("only-in-the-agent")
    add_to_agent(agent, key)
    account.authorize(forget(key))
    laptop.pin_host_key(server)
    assert lab("connect", server.address, "--offline", "--yes").returncode == 0
    entry = laptop.ssh / "ml-remote.d" / f"{ALIAS}.conf"
    assert "Identit" not in entry.read_text()
    assert login(laptop, **agent).returncode == 0  # the offline entry breaks nothing

    done = lab("connect", "--yes", **agent)
    assert done.returncode == 0, done.stderr
    assert f"{ALIAS}.agent.pub" in entry.read_text()
    assert login(laptop, **agent).returncode == 0
    assert lab("connect", **agent).stdout.startswith("Nothing to change")


@pytest.mark.slow
@pytest.mark.parametrize("authorized", [None, 9], ids=["none is let in", "the last is let in"])
def test_ten_keys_in_the_agent_do_not_keep_anybody_out(
    lab: Lab,
    laptop: Laptop,
    server: OpenSSHServer,
    account: Account,
    agent: dict[str, str],
    password: dict[str, str],
    authorized: int | None,
) -> None:
    keys = [laptop.make_key(f"agent-{number}") for number in range(10)]
    add_to_agent(agent, *keys)
    publics = [forget(key) for key in keys]
    account.authorize(*([] if authorized is None else [publics[authorized]]))
    laptop.pin_host_key(server)
    refused = laptop.run_ssh(
        "-o", "BatchMode=yes", "-p", str(server.port), f"{account.user}@127.0.0.1", "true", **agent
    )
    assert "Too many authentication failures" in refused.stderr

    done = lab("connect", server.address, "--yes", **agent, **password)
    assert done.returncode == 0, done.stderr
    assert login(laptop, **agent).returncode == 0
    assert len(laptop.questions) == (1 if authorized is None else 0)


@pytest.mark.slow
def test_key_with_a_passphrase_is_only_used_when_the_agent_holds_it(
    lab: Lab,
    laptop: Laptop,
    server: OpenSSHServer,
    account: Account,
    agent: dict[str, str],
    password: dict[str, str],
) -> None:
    key = laptop.make_key("id_ed25519", passphrase="open sesame")
    blob = key.with_suffix(".pub").read_text().split()[1]
    refused = lab("connect", server.address, "--yes", "--identity", str(key), **password)
    assert refused.returncode == 1
    assert "ssh-add" in refused.stderr

    add_to_agent({**agent, **laptop.askpass("open sesame")}, key)
    done = lab(
        "connect", server.address, "--yes", **agent, **laptop.askpass(account.password or "")
    )
    assert done.returncode == 0, done.stderr
    assert account.authorized_keys.read_text().split()[1] == blob


@pytest.mark.slow
def test_identity_that_is_not_there_is_made(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, password: dict[str, str]
) -> None:
    wanted = laptop.ssh / "for the lab"
    done = lab("connect", server.address, "--yes", "--identity", str(wanted), **password)
    assert done.returncode == 0, done.stderr
    assert wanted.is_file()
    assert login(laptop).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["another", "missing", "damaged"])
def test_public_half_that_does_not_belong_to_its_key_is_refused(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, account: Account, fault: str
) -> None:
    laptop.pin_host_key(server)
    key, other = laptop.make_key("mine"), laptop.make_key("theirs")
    public = key.with_suffix(".pub")
    if fault == "another":
        public.write_text(other.with_suffix(".pub").read_text())
    elif fault == "damaged":
        public.write_text("ssh-ed25519 AAAA\n")
    else:
        public.unlink()
    before = files_in(laptop)
    done = lab("connect", server.address, "--yes", "--identity", str(key))
    assert done.returncode == 1
    assert str(public) in done.stderr
    assert "ssh-keygen -y" in done.stderr
    assert files_in(laptop) == before
    assert not account.authorized_keys.exists()


@pytest.mark.slow
def test_file_in_the_place_of_a_new_key_is_never_overwritten(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, password: dict[str, str]
) -> None:
    ours = laptop.ssh / "ml-remote.d"
    ours.mkdir(mode=0o700)
    for name in (f"{ALIAS}.key", f"{ALIAS}.key.pub"):
        (ours / name).write_text("precious")
        done = lab("connect", server.address, "--yes", **password)
        assert done.returncode == 1
        assert "never overwritten" in done.stderr
        assert (ours / name).read_text() == "precious"
        (ours / name).unlink()
