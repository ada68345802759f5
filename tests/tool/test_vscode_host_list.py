"""VS Code's list of hosts: Remote-SSH reads configurations with the npm package `ssh-config`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from baking import TEMPLATE_ROOT
from editor.node_tools import PROGRAMS, node_environment
from filelock import FileLock
from ssh_tree import OURS, entry, lay_out

from ml_remote.ssh import ssh_config

pytestmark = pytest.mark.slow

PARSERS = TEMPLATE_ROOT / "build" / "ssh-config"
# The package under two names: its last two major versions parse differently.
PACKAGES = {"old": "npm:ssh-config@4.4.4", "new": "npm:ssh-config@5.3.0"}

# Reads files as the extension does: parses each, puts what an Include names in its place, lists the
# hosts that are no patterns, and asks what holds for one of them.
LIST_HOSTS = """
import fs from 'node:fs'
import { createRequire } from 'node:module'
const [parser, config, folder, alias] = process.argv.slice(2)
const loaded = await import(createRequire(parser + '/x.js').resolve(parser))
const SSHConfig = loaded.default?.default ?? loaded.default
const names = line => [line.value].flat().map(value => value.val ?? value)
const read = path => SSHConfig.parse(fs.readFileSync(path, 'utf8'))
const lines = read(config).flatMap(line =>
  line.param?.toLowerCase() === 'include'
    ? fs.readdirSync(folder).filter(name => name.endsWith('.conf')).sort()
        .flatMap(name => [...read(folder + '/' + name)])
    : [line])
const whole = new SSHConfig(...lines)
console.log(JSON.stringify({
  first: read(config).find(line => line.param)?.param,
  again: read(config).toString() === fs.readFileSync(config, 'utf8'),
  hosts: lines.filter(line => line.param === 'Host').flatMap(names),
  options: whole.compute(alias),
}))
"""


@pytest.fixture(scope="module")
def parsers() -> Path:
    """Return a folder with the npm package in it, downloaded once."""
    PARSERS.mkdir(parents=True, exist_ok=True)
    with FileLock(PARSERS / ".lock"):
        if not all((PARSERS / "node_modules" / name).is_dir() for name in PACKAGES):
            (PARSERS / "package.json").write_text(json.dumps({"dependencies": PACKAGES}))
            command = [str(PROGRAMS / "npm"), "install", "--no-audit", "--no-fund", "--silent"]
            subprocess.run(command, cwd=PARSERS, env=node_environment(), check=True)
    return PARSERS


def listed(parsers: Path, version: str, directory: Path, alias: str) -> dict[str, Any]:
    script = parsers / "list.mjs"
    script.write_text(LIST_HOSTS)
    parser = parsers / "node_modules" / version
    done = subprocess.run(
        ["node", str(script), str(parser), str(directory / "config"), str(directory / OURS), alias],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


CONFIGURATIONS = {
    "missing": "",
    "hosts": "Host a\n    HostName a.example.com\n\nHost b c\n    User u\n",
    "CRLF": "Host a\r\n    HostName a.example.com\r\n",
    "global options and comments": "# mine\nCompression yes\n\nHost a # first\n    User u\n",
    "wildcards and Match": "Host *\n    User everywhere\nMatch host b\n    Port 22\nHost a\n",
}


@pytest.mark.parametrize("version", PACKAGES)
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_vscode_lists_the_alias_first_and_all_hosts_as_before(
    configuration: str, version: str, parsers: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "ssh"
    lay_out(directory, {"config": CONFIGURATIONS[configuration]})
    before = listed(parsers, version, directory, "gpu")
    asked = entry("ada@[2001:db8::1]:2222", jump="b@bastion:7", identity="/with a blank/50%/k")
    ssh_config.apply(ssh_config.plan_connect(asked, directory=directory))

    found = listed(parsers, version, directory, "gpu")

    assert found["first"] == "Include"
    assert found["again"] == before["again"]  # it writes some of these files otherwise anyway
    assert found["hosts"] == ["gpu", *before["hosts"]]
    assert found["options"]["HostName"] == "2001:db8::1"
    assert found["options"]["User"] == "ada"
    assert found["options"]["Port"] == "2222"
    assert found["options"]["ProxyJump"] == "b@bastion:7"
    assert found["options"]["IdentityFile"] == ["/with a blank/50%%/k"]
