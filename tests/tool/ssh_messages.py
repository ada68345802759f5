"""What OpenSSH's clients print, and what `lab` says of it: a table."""

from __future__ import annotations

from ml_remote.errors import (
    ConfigurationError,
    HostKeyChangedError,
    HostKeyUnknownError,
    InteractiveGatewayError,
    InteractiveLoginError,
    LabError,
    LoginRefusedError,
    UnreachableError,
)

__all__ = ["CHANGED", "MESSAGES"]


CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Offending ED25519 key in /home/ada/.ssh/known_hosts:3
Host key for gpu.example.com has changed and you have requested strict checking.
Host key verification failed.
"""
MESSAGES: list[tuple[str, type[LabError], str, str]] = [
    (
        "/home/ada/.ssh/config: line 7: Bad configuration option: nonsense\n"
        "/home/ada/.ssh/config: terminating, 1 bad configuration options",
        ConfigurationError,
        "line 7 of /home/ada/.ssh/config: Bad configuration option: nonsense",
        "fix line 7",
    ),
    (
        "/home/ada/.ssh/config line 2: keyword hostname extra arguments at end of line",
        ConfigurationError,
        "line 2 of /home/ada/.ssh/config",
        "fix line 2",
    ),
    (
        "/home/ada/.ssh/config: line 1: Bad configuration option: usekeychain",
        ConfigurationError,
        "UseKeychain",
        "IgnoreUnknown UseKeychain",
    ),
    (
        "Bad owner or permissions on /home/ada/.ssh/config",
        ConfigurationError,
        "/home/ada/.ssh/config",
        "chmod go-w /home/ada/.ssh/config",
    ),
    (
        "Can't open user config file /x/config: No such file or directory",
        ConfigurationError,
        "no /x/config",
        "lab connect user@address",
    ),
    (
        "Can't open user config file /x/config: Permission denied",
        ConfigurationError,
        "You may not read /x/config",
        "chmod u+r /x/config",
    ),
    (
        'unix_listener: path "/very/long" too long for Unix domain socket',
        ConfigurationError,
        "too long",
        "LAB_SSH_DIR",
    ),
    (
        "ControlPath too long ('/very/long' >= 108 bytes)",
        ConfigurationError,
        "too long",
        "LAB_SSH_DIR",
    ),
    (
        "Too many recursive configuration includes",
        ConfigurationError,
        "includes itself",
        "remove the Include line",
    ),
    (
        "@       WARNING: REVOKED HOST KEY DETECTED!               @\n"
        "The ED25519 host key for gpu.example.com is marked as revoked.\n"
        "Host key verification failed.",
        HostKeyChangedError,
        "marked as revoked",
        "for the new host key",
    ),
    (
        CHANGED,
        HostKeyChangedError,
        "another machine is answering",
        "ssh-keygen -R gpu.example.com -f /home/ada/.ssh/known_hosts",
    ),
    (
        "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n"
        "Host key verification failed.",
        HostKeyChangedError,
        "another machine is answering",
        "ssh-keygen -R NAME",
    ),
    (
        "No ED25519 host key is known for [127.0.0.1]:2222 and you have requested strict checking."
        "\nHost key verification failed.",
        HostKeyUnknownError,
        "not known yet",
        "lab connect",
    ),
    (
        "Error checking host key ED25519 SHA256:x in revoked keys file /x: No such file\nHost key",
        ConfigurationError,
        "ssh cannot read /x, which your SSH configuration names in RevokedHostKeys (No such file)",
        "Correct or remove",
    ),
    (
        "bind 10.9.9.9: Cannot assign\nssh: connect to host gpu port 22: failure",
        ConfigurationError,
        "(BindAddress or BindInterface): bind 10.9.9.9: Cannot assign.",
        "Join the network",
    ),
    (
        "Cannot fork into background without a command to execute.",
        ConfigurationError,
        "sets ForkAfterAuthentication yes for gpu",
        "limit it to the hosts",
    ),
    ("Host key verification failed.", HostKeyUnknownError, "not known yet", "lab connect"),
    (
        "Unable to negotiate with 10.0.0.1 port 22: no matching host key type found. "
        "Their offer: ssh-rsa,ssh-dss",
        UnreachableError,
        "ssh-rsa,ssh-dss",
        "HostKeyAlgorithms",
    ),
    (
        "Unable to negotiate with 10.0.0.1 port 22: no matching key exchange method found. "
        "Their offer: diffie-hellman-group1-sha1",
        UnreachableError,
        "no key exchange method in common",
        "Update OpenSSH",
    ),
    (
        "ssh: Could not resolve hostname gpu: Name or service not known",
        UnreachableError,
        "No machine called gpu",
        "IP address",
    ),
    (
        "ssh: Could not resolve hostname gpu: nodename nor servname provided, or not known",
        UnreachableError,
        "No machine called gpu",
        "IP address",
    ),
    (
        "ssh: Could not resolve hostname gpu: No such host is known.",
        UnreachableError,
        "No machine called gpu",
        "IP address",
    ),
    (
        "ssh: Could not resolve hostname gpu: Temporary failure in name resolution",
        UnreachableError,
        "offline",
        "network",
    ),
    (
        "ssh: connect to host 10.0.0.1 port 2222: Connection refused",
        UnreachableError,
        "nothing listens on port 2222",
        "systemctl",
    ),
    (
        "ssh: connect to host 10.0.0.1 port 22: Connection timed out",
        UnreachableError,
        "10.0.0.1 does not answer on port 22",
        "--jump",
    ),
    (
        "ssh: connect to host 10.0.0.1 port 22: Operation timed out",
        UnreachableError,
        "does not answer",
        "--jump",
    ),
    (
        "ssh: connect to host 10.0.0.1 port 22: No route to host",
        UnreachableError,
        "No route to host",
        "VPN",
    ),
    (
        "ssh: connect to host 10.0.0.1 port 22: Network is unreachable",
        UnreachableError,
        "Network is unreachable",
        "VPN",
    ),
    (
        "banner exchange: Connection to 127.0.0.1 port 80: invalid format",
        UnreachableError,
        "not an SSH server",
        "port",
    ),
    (
        "channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed\n"
        "Connection closed by UNKNOWN port 65535",
        UnreachableError,
        "jump host",
        "ssh user@gateway",
    ),
    (
        "ada@gateway: Permission denied (publickey).\n"
        "kex_exchange_identification: Connection closed by remote host\n"
        "Connection closed by UNKNOWN port 65535",
        LoginRefusedError,
        "jump host on the way to gpu refused the login as ada@gateway",
        "ssh ada@gateway",
    ),
    (
        "kex_exchange_identification: Connection closed by remote host\n"
        "Connection closed by UNKNOWN port 65535",
        UnreachableError,
        "ended before ssh could log in",
        "ssh user@gateway",
    ),
    (
        "jumphost loop via 10.0.0.5",
        ConfigurationError,
        "10.0.0.5, is that machine itself",
        "--jump",
    ),
    (
        "exec request failed on channel 0",
        UnreachableError,
        "does not start a process for you",
        "End some",
    ),
    (
        "kex_exchange_identification: Connection closed by remote host\n"
        "Connection closed by 10.0.0.1 port 22",
        UnreachableError,
        "dropped it at once",
        "Wait",
    ),
    (
        "Connection timed out during banner exchange",
        UnreachableError,
        "dropped it at once",
        "Wait",
    ),
    (
        "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures\n"
        "Disconnected from 10.0.0.1 port 22",
        LoginRefusedError,
        "too many keys",
        "--identity",
    ),
    (
        "@ WARNING: UNPROTECTED PRIVATE KEY FILE! @\n"
        "Permissions 0644 for '/home/ada/.ssh/id_ed25519' are too open.\n"
        "ada@gpu: Permission denied (publickey).",
        LoginRefusedError,
        "other users of this computer can read it",
        "chmod 600 /home/ada/.ssh/id_ed25519",
    ),
    (
        'Load key "/home/ada/.ssh/id_rsa": error in libcrypto\n'
        "ada@gpu: Permission denied (publickey).",
        LoginRefusedError,
        "line endings",
        "lab connect",
    ),
    (
        'sign_and_send_pubkey: signing failed for ED25519 "k" from agent: agent refused operation\n'
        "ada@gpu: Permission denied (publickey).",
        LoginRefusedError,
        "did not sign",
        "Unlock",
    ),
    (
        "ada@gpu: Permission denied (keyboard-interactive).",
        InteractiveLoginError,
        "asks for keyboard-interactive",
        "In a terminal: lab connect",
    ),
    (
        "ada@gpu: Permission denied (gssapi-keyex,gssapi-with-mic,password,hostbased).",
        InteractiveLoginError,
        "asks for gssapi-keyex,gssapi-with-mic,password,hostbased",
        "In a terminal: lab connect",
    ),
    (
        "ada@gpu: Permission denied (gssapi-keyex,publickey,password).",
        LoginRefusedError,
        "It accepts: gssapi-keyex,publickey,password",
        "lab connect copies a key there",
    ),
    (
        "ada@gateway: Permission denied (keyboard-interactive).\n"
        "Connection closed by UNKNOWN port 65535",
        InteractiveGatewayError,
        "The jump host on the way to gpu asks for keyboard-interactive at every login",
        "lab connect ada@gateway --alias gateway",
    ),
    (
        "ada@gpu: Permission denied (publickey,password).",
        LoginRefusedError,
        "publickey,password",
        "lab connect",
    ),
    (
        'sign_and_send_pubkey: signing failed for ED25519-SK "/home/ada/.ssh/id_ed25519_sk": '
        "device not found\nada@gpu: Permission denied (publickey).",
        LoginRefusedError,
        "not plugged in",
        "touch it",
    ),
    (
        'sign_and_send_pubkey: signing failed for ECDSA-SK "/k" from agent: '
        "agent refused operation\nada@gpu: Permission denied (publickey).",
        LoginRefusedError,
        "security key did not sign",
        "asks for the PIN",
    ),
    (
        'sign_and_send_pubkey: signing failed for ED25519-SK "/k": incorrect passphrase '
        "supplied to decrypt private key\nada@gpu: Permission denied (publickey).",
        LoginRefusedError,
        "security key did not sign",
        "ssh gpu",
    ),
    (
        'sign_and_send_pubkey: signing failed for RSA "k" from agent: communication with agent '
        "failed\nada@gpu: Permission denied (publickey).",
        LoginRefusedError,
        "did not sign",
        "Unlock",
    ),
    (
        "sign_and_send_pubkey: no mutual signature supported\n"
        "ada@gpu: Permission denied (publickey).",
        LoginRefusedError,
        "no signature in common",
        "--key-type ed25519",
    ),
    (
        "Connection closed by 10.0.0.1 port 22",
        UnreachableError,
        "ended the connection during the login, or before it",
        "expired",
    ),
    (
        "Connection reset by 10.0.0.1 port 22",
        UnreachableError,
        "ended the connection during the login, or before it",
        "expired",
    ),
    (
        "Received disconnect from 10.0.0.1 port 22:2: Change of username or service not allowed\n"
        "Disconnected from 10.0.0.1 port 22",
        UnreachableError,
        "ended the connection: Change of username",
        "lab doctor",
    ),
    (
        "kex_exchange_identification: banner line 0: Exceeded MaxStartups\n"
        "kex_exchange_identification: Connection closed by remote host",
        UnreachableError,
        "too many are in progress",
        "Wait a minute",
    ),
    (
        "kex_exchange_identification: banner line 0: Not allowed at this time\n"
        "kex_exchange_identification: Connection closed by remote host",
        UnreachableError,
        "blocked this computer's address",
        "Wait ten minutes",
    ),
    (
        "channel 0: open failed: connect failed: open failed",
        UnreachableError,
        "opens no session",
        "End some",
    ),
    (
        "mux_client_request_session: session request failed: Session open refused by peer",
        UnreachableError,
        "no further session",
        "End some",
    ),
    ("client_loop: send disconnect: Broken pipe", UnreachableError, "was lost", "again"),
    ("Connection to 10.0.0.1 closed by remote host.", UnreachableError, "was lost", "again"),
    ("Read from remote host 10.0.0.1: Connection reset by peer", UnreachableError, "lost", "again"),
    ("Corrupted MAC on input.", UnreachableError, "was lost", "again"),
    ("Timeout, server 10.0.0.1 not responding.", UnreachableError, "was lost", "again"),
    ("something quite new", UnreachableError, "ssh said: something quite new", "ssh -v gpu"),
    ("", UnreachableError, "gave no reason", "ssh -v gpu"),
]
