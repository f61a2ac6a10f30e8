"""From a failed git to one of our errors, with a sentence for people."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable

from indexer.providers.errors import (
    AccessDenied,
    AddressRefused,
    BadPayload,
    NotFound,
    ProviderError,
    Refused,
    TooLarge,
    Unavailable,
)
from indexer.providers.git.command import GitFailed
from indexer.providers.git.hardening import Connection

Sentence = Callable[[str, str], ProviderError]  # where, what git said

# In this order: what git said, and what it means. {where} is the host or the path.
LIMITED = r"returned error: 429"
DISK_FULL = r"No space left on device|Disk quota exceeded"
MEANINGS: tuple[tuple[str, type[ProviderError], str], ...] = (
    (
        DISK_FULL,
        Unavailable,
        "The disk of the machine that runs Muster is full, so {where} could not be "
        "read. Free some space; the next crawl goes on by itself.",
    ),
    (
        r"File too large|output too large|signal 25|exceeds maximum allowed size",
        TooLarge,
        "{where} sent more than Muster is willing to keep of one repository.",
    ),
    (
        r"returned error: 30[12378]|unable to update url base from redirection",
        AddressRefused,
        "{where} answers with a redirect, which Muster does not follow. Open the "
        "repository in a browser and enter the address that it has now.",
    ),
    (
        r"could not read (Username|Password)|unable to read askpass|"
        r"terminal prompts disabled",
        AccessDenied,
        "{where} asks for a password and Muster has none for it. Enter a user name "
        "and an access token that may read the repository; if it should be public, "
        "check the address.",
    ),
    (
        r"Authentication failed|returned error: 401|Invalid username or password|"
        r"Permission denied \(|HTTP Basic: Access denied|"
        r"Too many authentication failures",
        AccessDenied,
        "{where} refused the credential. Enter a new access token, or for ssh give "
        "the key of the user that runs Muster the right to read the repository.",
    ),
    (
        r"returned error: 403|access denied|not authorized|ERR .*denied",
        AccessDenied,
        "{where} says that this credential may not read the repository. Ask its "
        "owner for the right to read.",
    ),
    (
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        AccessDenied,
        "The host key of {where} is not the one known so far. If the change is real, "
        "correct known_hosts of the user that runs Muster.",
    ),
    (
        r"returned error: 4(04|10)|repository '.*' not found|Repository not found|"
        r"does not appear to be a git repository|no such repository|"
        r"repository not exported|not found: did you run|No such file or directory|"
        r"could not be found or you don't have permission",
        NotFound,
        "There is no repository at this address of {where}, or it is hidden from us. "
        "Check the address; a private repository needs a user name and a token.",
    ),
    (
        LIMITED,
        Unavailable,
        "{where} asks us to come less often (too many requests). Muster tries again "
        "later.",
    ),
    (
        r"returned error: 4(?!08)\d\d",
        Refused,
        "{where} refused the request of Git. Open the repository in a browser to see "
        "whether something is wrong with it; Muster tries again later.",
    ),
    (
        r"Could not resolve host|Name or service not known|"
        r"Temporary failure in name resolution|unable to look up",
        Unavailable,
        "The name {where} could not be resolved. Check the address and the network.",
    ),
    (
        r"SSL|TLS|certificate",
        Unavailable,
        "The TLS connection to {where} failed (certificate or protocol). If the host "
        "uses a certificate of your own, name its file in GIT_SSL_CAINFO.",
    ),
    (
        r"Connection refused|Failed to connect|No route to host|"
        r"Network is unreachable|unable to connect|Couldn't connect",
        Unavailable,
        "Nothing answers at {where}. Check that the host is up and the port is right.",
    ),
    (
        r"[Tt]imed out|timeout|Operation too slow",
        Unavailable,
        "{where} was too slow to answer. Muster tries again later.",
    ),
    (
        r"dumb http|does not support (shallow|filter)|"
        r"Server does not (support|allow)|valid: is this a git repository|"
        r"unknown object format|mismatched algorithms|bad line length character|"
        r"invalid advertisement|protocol error: (bad|unexpected)|"
        r"bad config line|unknown repository extension|Expected git repo version",
        BadPayload,
        "{where} does not answer as a Git server that Muster can read. Check that "
        "the address is that of a Git repository.",
    ),
    (
        r"not our ref|unadvertised object|bad object|missing (blob|tree|commit)|"
        r"upload-pack: not our|remote error",
        Unavailable,
        "{where} no longer has what it listed a moment ago, or could not send it. "
        "Muster tries again later.",
    ),
    (
        r"returned error: (408|5\d\d)|hung up unexpectedly|early EOF|Connection reset|"
        r"disconnect|Empty reply|transfer closed|RPC failed|unexpected EOF|"
        r"unable to access|expected (flush|')|invalid index-pack output|fetch-pack",
        Unavailable,
        "{where} broke off in the middle of its answer. Muster tries again later.",
    ),
)


def place(connection: Connection) -> str:
    """Where, in words: the host, or the path of this machine."""
    return connection.host or f"the path {connection.url}"


def explain(failure: GitFailed, connection: Connection) -> ProviderError:
    """What went wrong at the remote, for whoever looks at the repository. Of a limit
    the status is told, so that a connection waits with all it has."""
    where = place(connection)
    status = 429 if re.search(LIMITED, failure.stderr) else 0
    if failure.late:
        return Unavailable(
            _capital(f"{where} did not answer in time. Muster tries again later.")
        )
    for pattern, kind, sentence in MEANINGS:
        if re.search(pattern, failure.stderr):
            return kind(_capital(sentence.format(where=where)), status=status)
    said = last_words(failure.stderr)
    return Unavailable(
        _capital(f"{where} could not be read: git says “{said}”.")
        if said
        else _capital(f"{where} could not be read: git ended without a word.")
    )


def is_disk_full(failure: GitFailed) -> bool:
    """Whether git ran out of disk on this machine."""
    return re.search(DISK_FULL, failure.stderr) is not None


ONE_OBJECT = (
    r"not our ref|unadvertised object|bad object|corruption on the remote side|"
    r"[Cc]ould not (read|parse)|unable to (read|parse)|not a (commit|tag|blob|tree)|"
    r"missing (necessary )?objects"
)
DAMAGED_MIRROR = (
    r"corrupt|bad pack|does not match index|index-pack|shallow|did not send all|"
    r"bad (config|signature|tree)|loose object|not a git repository"
)


def may_be_one_object(failure: GitFailed) -> bool:
    """Whether a fetch may have failed over some of its objects only: gone since they
    were listed, or unreadable at the remote."""
    return not failure.late and re.search(ONE_OBJECT, failure.stderr) is not None


def is_worth_a_second_try(failure: GitFailed) -> bool:
    """Whether fresh refs or a fresh mirror may mend what failed."""
    return may_be_one_object(failure) or (
        not failure.late and re.search(DAMAGED_MIRROR, failure.stderr) is not None
    )


def explain_system(error: OSError) -> ProviderError:
    """An error of this machine, not of the remote."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Unavailable(
            "The disk of the machine that runs Muster is full. Free some space; the "
            "next crawl goes on by itself."
        )
    reason = error.strerror or type(error).__name__
    return Unavailable(f"Muster could not work on its own files: {reason}.")


def last_words(stderr: str) -> str:
    """The last line git wrote that says something, at most 200 characters."""
    lines = [
        re.sub(r"^(fatal|error|remote): ", "", line.strip())
        for line in stderr.splitlines()
    ]
    said = next((line for line in reversed(lines) if line), "")
    return "".join(c for c in said if c.isprintable())[:200]


def _capital(sentence: str) -> str:
    """The sentence with a capital first letter, unless it begins with a host."""
    return (
        sentence[0].upper() + sentence[1:] if sentence.startswith("the ") else sentence
    )
