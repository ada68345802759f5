"""OpenSSH's messages: what each means, in a sentence, and what to do about it.

The texts are those of ssh 7.6 to 10; what a person's own system adds (bash, csh) is kept apart.
"""

from __future__ import annotations

import re

from ..errors import (
    ConfigurationError,
    HostKeyChangedError,
    HostKeyUnknownError,
    InteractiveGatewayError,
    InteractiveLoginError,
    LabError,
    LoginRefusedError,
    NoNodeError,
    UnreachableError,
)

__all__ = ["MESSAGES", "NOISE", "OPEN_IT"]

NOISE = re.compile(
    r"debug[123]: |\*\* |Warning: Permanently added |Warning: the .* host key for |"
    r"ControlSocket .* already exists|.* line \d+: (?:Deprecated|Unsupported) option |"
    r"no such identity: |Authenticated to |Connected to \S+$|Transferred: |Bytes per second: "
)
"""Lines of ssh's that say nothing about why it failed."""

_ADDRESS = r"^ssh: connect to (?:host|address) (?P<host>\S+) port (?P<port>\d+)"

# A file that ssh reads, and what it finds wrong there; bash's messages have the same beginning.
_FILE = r"(?P<file>command-line|(?:~|/|[A-Za-z]:[\\/]).{0,900}?(?<!sh))"
_FAULT = (
    r"(?=.*\b(?i:bad|invalid|missing|unsupported|too many|extra arguments|garbage|empty|argument|"
    r"keyword|unterminated|unrecogni[sz]ed|error in|unknown|no such user|option|unable)\b)"
    r"(?!.*(?:not found|syntax error|No such file or directory)$).*[^\s.]"
)

# What a server still takes where a person must answer: no key counts, or not any more.
_ASKING = (
    r"(?!(?:[^()]*,)?publickey\b)(?=[^()]*(?:password|keyboard-interactive))[A-Za-z0-9@.,+ _-]*"
)

OPEN_IT = (
    "In a terminal: lab connect, which asks once and opens a shared connection; then run the "
    "command again"
)
"""What to do where every login asks a person, and nobody can be asked."""

_NEGOTIATE = r"^Unable to negotiate with .*: no matching"

_CHANGED = (
    "The host key of {alias} is not the one it had before. Either the machine was reinstalled, "
    "or another machine is answering in its place and would see everything you type. Nothing was "
    "sent."
)

# (the message, the error it becomes, the sentence, what to do); an earlier one wins, so causes
# come before their consequences. The sentences may name the pattern's groups, and {alias}.
MESSAGES: tuple[tuple[str, type[LabError], str, str], ...] = (
    # The configuration
    (
        rf"(?i)^{_FILE}:? line (?P<line>\d+): Bad configuration option: usekeychain",
        ConfigurationError,
        "{file}, line {line}, says UseKeychain, which only the ssh of macOS knows; any other ssh "
        "fails at it, for every host.",
        "Add above that line: IgnoreUnknown UseKeychain",
    ),
    (
        rf"^{_FILE}:? line (?P<line>\d+): (?P<fault>{_FAULT})",
        ConfigurationError,
        "ssh cannot read line {line} of {file}: {fault}. Until that is fixed, ssh works for no "
        "host.",
        "Open {file} and fix line {line}",
    ),
    (
        r"^Bad owner or permissions on (?P<file>.+)$",
        ConfigurationError,
        "ssh refuses {file} because others may write to it.",
        "chmod go-w {file}",
    ),
    (
        r"^Can't open user config file (?P<file>.+?): Permission denied",
        ConfigurationError,
        "You may not read {file}.",
        "chmod u+r {file}",
    ),
    (
        r"^Can't open user config file (?P<file>.+?):",
        ConfigurationError,
        "There is no {file}.",
        "lab connect user@address",
    ),
    (
        r"^(?:ControlPath too long|(?:unix_listener: (?:path )?|ControlPath )\".*\" too long for )",
        ConfigurationError,
        "The path of ssh's control socket is too long for this system (about 100 bytes).",
        "Set LAB_SSH_DIR to a directory with a shorter path",
    ),
    (
        r"(?i)^(?:.* )?Too many recursive configuration includes",
        ConfigurationError,
        "A file of your SSH configuration includes itself, perhaps through another one. Until "
        "that is fixed, ssh works for no host.",
        "Open your SSH configuration and remove the Include line that leads back",
    ),
    (
        r"^Cannot fork into background without a command to execute",
        ConfigurationError,
        "Your SSH configuration sets ForkAfterAuthentication yes for {alias}, so no program can "
        "run commands there.",
        "Change that line of your SSH configuration, or limit it to the hosts that need it",
    ),
    # The host key
    (
        r"^@ +WARNING: REVOKED HOST KEY DETECTED",
        HostKeyChangedError,
        "The host key of {alias} is marked as revoked (@revoked in known_hosts): it may have "
        "been stolen, and another machine may be answering in its place. Nothing was sent.",
        "Ask whoever runs the machine, or who wrote that line, for the new host key",
    ),
    (
        r"^Error checking host key .* in revoked keys file (?P<file>.+): (?P<fault>[^:\n]+)$",
        ConfigurationError,
        "ssh cannot read {file}, which your SSH configuration names in RevokedHostKeys ({fault}), "
        "so it trusts no host key.",
        "Correct or remove RevokedHostKeys in your SSH configuration",
    ),
    (
        r"^@ +WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED"
        r"[\s\S]{0,1500}?key in (?P<file>.{1,500}):\d+"
        r"[\s\S]{0,800}?Host key for (?P<name>\S{1,300}) has changed",
        HostKeyChangedError,
        _CHANGED,
        "Ask whoever runs the machine. Only if the change is explained, forget the old key: "
        "ssh-keygen -R {name} -f {file}; then: lab connect",
    ),
    (
        r"^@ +WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED",
        HostKeyChangedError,
        _CHANGED,
        "Ask whoever runs the machine. Only if the change is explained, forget the old key: "
        "ssh-keygen -R NAME; then: lab connect",
    ),
    (
        r"^(?:No (?P<kind>\S+) host key is known for (?P<host>\S+)|Host key verification failed)",
        HostKeyUnknownError,
        "The host key of {alias}, or of a jump host on the way, is not known yet.",
        "lab connect",
    ),
    (
        rf"{_NEGOTIATE} host key type found\. Their offer: (?P<offer>.*\S)",
        UnreachableError,
        "{alias} is so old that it only offers host keys this ssh no longer trusts ({offer}).",
        "Update its OpenSSH server; or, knowing the risk, set HostKeyAlgorithms for it yourself",
    ),
    (
        rf"{_NEGOTIATE} (?P<what>.+?) found\. Their offer: (?P<offer>.*\S)",
        UnreachableError,
        "{alias} and this ssh have no {what} in common (it offers {offer}).",
        "Update OpenSSH on the older of the two machines",
    ),
    # The way there
    (
        r"^(?P<fault>(?:bind|getifaddrs:|getaddrinfo:) .+)$"
        r"[\s\S]{0,500}^ssh: connect to host \S+ port \d+: failure",
        ConfigurationError,
        "This computer does not have the address or interface that your SSH configuration sets "
        "(BindAddress or BindInterface): {fault}.",
        "Join the network that it belongs to, or remove that line from your SSH configuration",
    ),
    (
        r"(?i)^ssh: Could not resolve hostname (?P<host>\S+): Temporary failure",
        UnreachableError,
        "The name {host} could not be looked up: this computer seems to be offline.",
        "Connect to the network (or the VPN), then try again",
    ),
    (
        r"(?i)^ssh: Could not resolve hostname (?P<host>[^\s:]+): ",
        UnreachableError,
        "No machine called {host} is known on this network.",
        "Check the spelling, join the network or VPN that knows the name, or use the IP address: "
        "lab connect user@address",
    ),
    (
        _ADDRESS + r": Connection refused",
        UnreachableError,
        "{host} is up, but nothing listens on port {port}: no SSH server is running, or it uses "
        "another port.",
        "Start it on the machine (Debian and Ubuntu: sudo systemctl enable --now ssh), or: lab "
        "connect user@address:port",
    ),
    (
        _ADDRESS + r": (?:Connection|Operation) timed out",
        UnreachableError,
        "{host} does not answer on port {port}: it is off, asleep, behind a firewall, or "
        "reachable only through a VPN or a jump host.",
        "Check that the machine is on and that you are in its network; through another machine: "
        "lab connect --jump user@gateway user@address",
    ),
    (
        _ADDRESS + r": (?P<fault>No route to host|Network is unreachable|Host is down)",
        UnreachableError,
        "There is no way to {host} from this network ({fault}).",
        "Join its network or VPN; through another machine: lab connect --jump user@gateway "
        "user@address",
    ),
    (
        r"^(?:banner exchange: .*invalid format|Bad packet length|Protocol mismatch|"
        r"kex_exchange_identification: banner line contains invalid)",
        UnreachableError,
        "Something answers at {alias}, but it is not an SSH server. The port is probably wrong.",
        "lab connect user@address:port",
    ),
    (
        rf"^(?P<who>[^\s:]+): Permission denied \((?P<methods>{_ASKING})\)\.$"
        r"[\s\S]{0,500}^Connection closed by UNKNOWN port 65535",
        InteractiveGatewayError,
        "The jump host on the way to {alias} asks for {methods} at every login (as {who}).",
        "Give the jump host its own alias, whose connection is shared: lab connect {who} --alias "
        "gateway; then: lab connect --replace --jump gateway user@address",
    ),
    (
        r"^(?P<who>[^\s:]+): Permission denied \((?P<methods>[A-Za-z0-9@.,+ _-]*)\)\.$"
        r"[\s\S]{0,500}^Connection closed by UNKNOWN port 65535",
        LoginRefusedError,
        "The jump host on the way to {alias} refused the login as {who}. It accepts: {methods}.",
        "Check that it lets you in with a key: ssh {who}",
    ),
    (
        r"^(?:channel \d+: open failed: (?P<said>.*\S)\s+)?stdio forwarding failed",
        UnreachableError,
        "The jump host lets you in, but cannot reach {alias} ({said}).",
        "Try it from there: ssh user@gateway, then: ssh ADDRESS. The machine may be off, or the "
        "address may mean another machine there",
    ),
    (
        r"^(?:Connection (?:closed|reset) by|banner exchange: Connection to) UNKNOWN port 65535",
        UnreachableError,
        "What leads to {alias} (a jump host, or a ProxyCommand) ended before ssh could log "
        "in.{others}",
        "Try the jump host alone: ssh user@gateway; or run the ProxyCommand by hand",
    ),
    (
        r"^jumphost loop via (?P<host>\S+)",
        ConfigurationError,
        "The jump host on the way to {alias}, {host}, is that machine itself.",
        "Name another jump host: lab connect --jump user@gateway user@address",
    ),
    (
        r"^kex_exchange_identification: banner line \d+: Exceeded MaxStartups",
        UnreachableError,
        "{alias} accepts no more logins at the moment: too many are in progress (MaxStartups).",
        "Wait a minute, then: lab doctor",
    ),
    (
        r"^kex_exchange_identification: banner line \d+: Not allowed at this time",
        UnreachableError,
        "{alias} has blocked this computer's address for a while, after failed logins or many "
        "connections (PerSourcePenalties).",
        "Wait ten minutes without logging in; then: lab doctor",
    ),
    (
        r"^(?:Connection timed out during banner exchange|(?:kex|ssh)_exchange_identification: |"
        r"Read from socket failed: Connection reset by )",
        UnreachableError,
        "{alias} accepted the connection and dropped it at once. It may be overloaded, shutting "
        "down, or blocking this address after failed logins.",
        "Wait a minute, then: lab doctor",
    ),
    # The login
    (
        r"^(?:Received disconnect from \S+ .*|Disconnecting:? .*)?Too many authentication failures",
        LoginRefusedError,
        "{alias} ended the login because too many keys were offered: every key of your agent "
        "counts as an attempt.",
        "lab connect chooses one key for this machine; or name it: lab connect --identity PATH",
    ),
    (  # what .lab/node-proxy says
        r"^Received disconnect from UNKNOWN port 65535: ?\d+: lab: "
        r"(?P<said>(?:No compute node is|Job \d+ (?:has|was|ended)) [^.]*\.) [^.]*$",
        NoNodeError,
        "{alias} leads to no compute node. {said}",
        "Get one: lab node; to list yours: lab node --list",
    ),
    (
        r"^Received disconnect from UNKNOWN port 65535: ?\d+: lab: (?P<said>[^.]*\.) [^.]*$",
        UnreachableError,
        "{alias} leads to no compute node. {said}",
        "Get one: lab node; to list yours: lab node --list",
    ),
    (
        r"^Received disconnect from \S+(?: port \d+)?: ?\d+: (?P<said>.*\S)",
        UnreachableError,
        "{alias} ended the connection: {said}",
        "If that does not explain it, ask whoever runs the machine; or find out more: lab doctor",
    ),
    (
        r"^Permissions (?P<mode>\d+) for '(?P<file>[^']+)' are too open",
        LoginRefusedError,
        "ssh does not use the key {file}, because other users of this computer can read it.",
        "chmod 600 {file}",
    ),
    (
        r"^Load key \"(?P<file>[^\"]+)\": (?P<fault>invalid format|error in libcrypto)",
        LoginRefusedError,
        "The key {file} cannot be read: it is damaged, or its line endings were changed.",
        "Restore it, or make a new one: lab connect --key-type ed25519",
    ),
    (
        r"^(?:sign_and_send_pubkey: )?signing failed for (?:ED25519|ECDSA)-SK .*: "
        r"(?:device not found|No such file or directory)",
        LoginRefusedError,
        "The security key that logs in to {alias} is not plugged in.",
        "Plug it in, and touch it when it blinks; then try again",
    ),
    (
        r"^(?:sign_and_send_pubkey: )?signing failed for (?:ED25519|ECDSA)-SK ",
        LoginRefusedError,
        "The security key did not sign for {alias}: it was not touched in time, or its PIN was "
        "not entered.",
        "Log in by hand, where ssh asks for the PIN, and touch the key when it blinks: "
        "ssh {alias}; then, within ten minutes, run the command again",
    ),
    (
        r"^(?:sign_and_send_pubkey: .*|signing failed .*)"
        r"(?:agent refused operation|communication with agent failed)",
        LoginRefusedError,
        "The agent has the key for {alias} but did not sign with it: it is locked, or its "
        "question was not answered.",
        "Unlock the agent (or touch the security key), then try again",
    ),
    (
        r"no mutual signature (?:supported|algorithm)",
        LoginRefusedError,
        "{alias} and this ssh have no signature in common that your key can make; servers from "
        "before 2016 accept RSA only with SHA-1.",
        "Use a key of another type: lab disconnect; then: lab connect --key-type ed25519",
    ),
    (
        rf"^(?:[^\s:]+: )?Permission denied \((?P<methods>{_ASKING})\)\.$",
        InteractiveLoginError,
        "{alias} refused the login: after or instead of your key, it asks for {methods}.",
        OPEN_IT,
    ),
    (
        r"^(?:[^\s:]+: )?Permission denied \((?P<methods>[A-Za-z0-9@.,+ _-]*)\)\.$",
        LoginRefusedError,
        "{alias} refused the login. It accepts: {methods}.",
        "lab connect copies a key there; if the user name is wrong: lab connect user@address",
    ),
    (
        r"^Connection (?:closed|reset) by (?:authenticating user )?.*\bport \d+(?: \[preauth\])?$",
        UnreachableError,
        # From OpenSSH 10 on, ssh says no more where a server hangs up at once.
        "{alias} ended the connection during the login, or before it.{others}",
        "Ask whoever runs the machine if your account may log in now: it may have expired, need "
        "a job on that compute node, or your address may be blocked after failed logins. If it "
        "may: lab doctor",
    ),
    # A connection that was there
    (
        r"^mux_client_request_session: .*(?:Session open refused by peer|no more sessions)",
        UnreachableError,
        "{alias} allows no further session over the shared connection.",
        "End some of your sessions there, then try again",
    ),
    (
        r"^(?:exec|shell|subsystem) request failed on channel \d+",
        UnreachableError,
        "{alias} lets you in, but does not start a process for you: the limit of your account "
        "may be reached (nproc), or the machine has no memory left.",
        "End some of your programs there; or ask whoever runs the machine",
    ),
    (
        r"^channel \d+: open failed: (?:connect failed|administratively prohibited|"
        r"resource shortage|unknown channel type): ",
        UnreachableError,
        "{alias} lets you in, but opens no session (MaxSessions, or a limit of your account).",
        "End some of your sessions there; or ask whoever runs the machine",
    ),
    (
        r"^(?:(?:client_loop: |packet_write_wait: |Write failed: |ssh_dispatch_run_fatal: ).*"
        r"(?:Broken pipe|Connection (?:reset|corrupted)|Operation timed out|"
        r"message authentication code incorrect)|Connection to \S+ closed by remote host|"
        r"Read from remote host \S+: |Timeout, server \S+ not responding|"
        r"Corrupted MAC on input|Connection to \S+ port \d+ timed out)",
        UnreachableError,
        "The connection to {alias} was lost.",
        "Run the command again; if it happens often: lab doctor",
    ),
)
