"""What every git gets that we run: its configuration, its environment, its way to a
remote. See command.py."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field

# Files of the operator that say which certificates to trust; the rest of the
# environment stays behind.
KEPT_ENVIRONMENT = ("GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "SSL_CERT_FILE", "SSL_CERT_DIR")

# Configuration of every command.
QUIET = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "credential.helper=",
    "safe.bareRepository=all",
    "safe.directory=*",
    "protocol.allow=never",
)

# Configuration of commands that reach a remote.
NETWORK = (
    "protocol.version=2",
    "http.followRedirects=false",
    "http.lowSpeedLimit=200",
    "http.lowSpeedTime=30",
    "http.emptyAuth=false",
    "http.cookieFile=",
    "transfer.fsckObjects=false",  # one bad tag would refuse the whole pack
    "fetch.fsckObjects=false",
    "transfer.bundleURI=false",
    "fetch.unpackLimit=1",
    "fetch.writeCommitGraph=false",
    "fetch.recurseSubmodules=false",
    "core.bigFileThreshold=5m",
    "pack.threads=2",
)

# What serves a local path: the owner may be another user, and reading is all it does.
UPLOAD_PACK = (
    "git -c safe.directory=* -c safe.bareRepository=all -c core.hooksPath=/dev/null "
    "-c core.fsmonitor=false -c uploadpack.allowFilter=true upload-pack"
)

# The user's own keys, agent and ~/.ssh/config are used: they are how a self-hosted
# service proves itself to a server. Nothing is ever asked.
SSH = (
    "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o ConnectTimeout=15 "
    "-o ServerAliveInterval=15 -o ServerAliveCountMax=3 -o ForwardAgent=no "
    "-o ForwardX11=no -o ClearAllForwardings=yes -o PermitLocalCommand=no"
)


@dataclass(frozen=True, slots=True)
class Connection:
    """A checked remote, ready for git. `scheme` is https, http, ssh, git or file;
    `addresses` are the IP addresses to use whatever the name resolves to by now."""

    url: str
    scheme: str
    host: str = ""
    port: int | None = None
    username: str = ""
    secret: str = field(default="", repr=False)
    addresses: tuple[str, ...] = ()


class GitMissing(Exception):
    """There is no git on this machine."""


def find_git() -> str:
    """The absolute path of git. Raises GitMissing."""
    found = shutil.which("git")
    if found is None:
        raise GitMissing("git is not installed, or not on the PATH of this process.")
    return os.path.abspath(found)


def network_config(connection: Connection) -> tuple[str, ...]:
    config: tuple[str, ...] = (
        *QUIET,
        f"protocol.{connection.scheme}.allow=always",
        *NETWORK,
    )
    if connection.addresses and connection.scheme in {"http", "https"}:
        port = connection.port or (443 if connection.scheme == "https" else 80)
        pinned = ",".join(
            f"[{address}]" if ":" in address else address
            for address in connection.addresses
        )
        config += (f"http.curloptResolve={connection.host}:{port}:{pinned}",)
    return config


def upload_pack_option(connection: Connection) -> list[str]:
    """How to serve a path of this machine; a server has its own way."""
    return [f"--upload-pack={UPLOAD_PACK}"] if connection.scheme == "file" else []


def receive_pack_option(connection: Connection) -> list[str]:
    """How a path of this machine takes what is pushed. Its hooks decide, as those of a
    server would, and git takes it only where they are of the user that runs Muster
    (no `safe.directory` is said here)."""
    return ["--receive-pack=git receive-pack"] if connection.scheme == "file" else []


def origin(connection: Connection) -> str:
    """`https://host:port` as git writes it when it asks for a credential."""
    host = f"[{connection.host}]" if ":" in connection.host else connection.host
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.scheme}://{host}{port}"


def build_environment(connection: Connection | None) -> dict[str, str]:
    """All that git sees of its surroundings; None for a command without a remote."""
    environment = {
        "PATH": os.pathsep.join(
            (os.path.dirname(find_git()), "/usr/local/bin", "/usr/bin", "/bin")
        ),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "TZ": "UTC",
        "TMPDIR": tempfile.gettempdir(),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "SSH_ASKPASS": "/bin/false",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_ALLOW_PROTOCOL": connection.scheme if connection else "",
    }
    for name in KEPT_ENVIRONMENT:
        if name in os.environ:
            environment[name] = os.environ[name]
    if connection is None:
        return environment
    if connection.scheme == "ssh":
        environment["GIT_SSH_COMMAND"] = SSH
        environment["GIT_SSH_VARIANT"] = "ssh"
        if connection.addresses:
            environment["GIT_SSH_COMMAND"] += (
                f" -o HostName={connection.addresses[0]}"
                f" -o HostKeyAlias={connection.host}"
            )
        if "SSH_AUTH_SOCK" in os.environ:
            environment["SSH_AUTH_SOCK"] = os.environ["SSH_AUTH_SOCK"]
    if connection.scheme == "git" and connection.addresses:
        environment["GIT_OVERRIDE_VIRTUAL_HOST"] = connection.host
    return environment
