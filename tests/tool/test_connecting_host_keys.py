"""`lab connect` and host keys: one that has changed stops it, and a new one is kept."""

from __future__ import annotations

import pytest
from openssh_server import Account, Laptop, OpenSSHServer
from tool_helpers import Lab, files_in


@pytest.mark.slow
def test_changed_host_key_stops_everything(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, account: Account, password: dict[str, str]
) -> None:
    assert lab("connect", server.address, "--yes", **password).returncode == 0
    server.stop()
    server.new_host_key()
    server.start()
    before, logins = files_in(laptop), server.logins
    for arguments in (["connect", "--yes"], ["connect", server.address, "--yes"]):
        done = lab(*arguments, **password)
        assert done.returncode == 1
        assert "host key" in done.stderr
        assert "another machine" in done.stderr
        assert f"-R '[127.0.0.1]:{server.port}' -f {laptop.known_hosts}" in done.stderr
        assert files_in(laptop) == before
    assert len(laptop.questions) == 1  # no password went to the other machine
    assert server.logins == logins


@pytest.mark.slow
def test_changed_host_key_stops_a_person_who_turned_checking_off(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, password: dict[str, str]
) -> None:
    laptop.config.write_text("StrictHostKeyChecking no\n" + laptop.config.read_text())
    assert lab("connect", server.address, "--yes", **password).returncode == 0
    server.stop()
    server.new_host_key()
    server.start()
    done = lab("connect", "--yes", **password)
    assert done.returncode == 1
    assert "another machine" in done.stderr


@pytest.mark.slow
def test_person_who_takes_no_host_key_unseen_is_not_overruled(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, password: dict[str, str]
) -> None:
    laptop.config.write_text("StrictHostKeyChecking yes\n" + laptop.config.read_text())
    before = files_in(laptop)
    done = lab("connect", server.address, "--yes", **password)
    assert done.returncode == 1
    assert "StrictHostKeyChecking yes" in done.stderr
    assert files_in(laptop) == before


@pytest.mark.slow
def test_host_name_is_hashed_where_the_person_wants_that(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, password: dict[str, str]
) -> None:
    laptop.config.write_text("HashKnownHosts yes\n" + laptop.config.read_text())
    laptop.known_hosts.write_text("# no newline at the end")
    assert lab("connect", server.address, "--yes", **password).returncode == 0
    comment, pinned = laptop.known_hosts.read_text().splitlines()
    assert comment == "# no newline at the end"
    assert pinned.startswith("|1|")
    assert "127.0.0.1" not in pinned


@pytest.mark.slow
def test_host_key_that_could_not_be_kept_is_not_accepted(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, password: dict[str, str]
) -> None:
    laptop.config.write_text("Host *\nUserKnownHostsFile /dev/null\nGlobalKnownHostsFile none\n")
    done = lab("connect", server.address, "--yes", **password)
    assert done.returncode == 1
    assert "UserKnownHostsFile" in done.stderr
    assert laptop.questions == []
