"""From a failed git to one of our errors, with a sentence for people."""

from __future__ import annotations

import errno
import re
import signal
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
NOT_STARTED = frozenset({126, 127})  # statuses of a shell, and of `env`
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
        r"invalid advertisement|protocol error: (bad (?!pack header)|unexpected)|"
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
        r"unable to access|expected (flush|')|invalid index-pack output|fetch-pack|"
        r"bad pack header|Could not read from remote repository",
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
    if failure.signal not in {0, signal.SIGXFSZ}:  # the latter is a limit of ours
        return Unavailable(
            f"Git was killed while it worked for {where} (signal {failure.signal}). "
            "Perhaps the machine that runs Muster is short of memory. Muster tries "
            "again later."
        )
    if failure.status in NOT_STARTED:
        return Unavailable(
            f"Git could not be started on the machine that runs Muster, so {where} was "
            "not read. Muster tries again later."
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


# A word about an object names it. Git says “could not read” of a remote that was
# killed as well, and a server that ran out of memory speaks of “possible corruption”.
ONE_OBJECT = (
    r"(?m)^(?=.*[0-9a-f]{40})(?:remote: )?(?:fatal|error): .*"
    r"(?:not our ref|unadvertised object|bad (?:tree )?object|corrupt|missing|"
    r"[Cc]ould not (?:read|parse)|unable to (?:read|parse|unpack)|"
    r"not a (?:commit|tag|blob|tree))"
)
DAMAGED_MIRROR = (
    r"corrupt|bad pack|does not match index|index-pack|shallow|did not send all|"
    r"bad (config|signature|tree)|loose object|not a git repository"
)


UNREAD = (
    r"cannot be accessed|Cannot allocate memory|Out of memory|Too many open files|"
    r"Input/output error|Stale file handle|mmap failed"
)


def may_be_one_object(failure: GitFailed) -> bool:
    """Whether a fetch may have failed over some of its objects only: gone since they
    were listed, or unreadable at the remote."""
    return failure.is_own_word and re.search(ONE_OBJECT, failure.stderr) is not None


def is_worth_a_second_try(failure: GitFailed) -> bool:
    """Whether fresh refs or a fresh mirror may mend what failed."""
    return may_be_one_object(failure) or (
        failure.is_own_word and re.search(DAMAGED_MIRROR, failure.stderr) is not None
    )


# How git ends by itself when it comes upon something that it was not made for.
CRASHES = frozenset(
    {signal.SIGILL, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV}
)


def was_stopped(failure: GitFailed) -> bool:
    """Whether git was ended from outside, so that nothing it read is to blame."""
    return failure.late or (failure.signal != 0 and failure.signal not in CRASHES)


def is_damaged(failure: GitFailed, object_id: str) -> bool:
    """Whether git died of this object, which it was reading."""
    return failure.is_own_word and any(
        line.startswith(("fatal: ", "error: "))
        and (object_id in line or line == "fatal: invalid object type")
        for line in failure.stderr.splitlines()
    )


def was_not_read(stderr: str) -> bool:
    """Whether git may have called an object missing that it could not look at."""
    return re.search(UNREAD, stderr) is not None


def explain_mirror(failure: GitFailed, connection: Connection) -> ProviderError:
    """What went wrong with what is on this machine: a mirror that was made anew, or a
    repository that lends its objects."""
    if failure.signal or is_disk_full(failure):
        return explain(failure, connection)
    if failure.late:
        return Unavailable("Reading the mirror took too long.")
    said = last_words(failure.stderr)
    why = f" Git says “{said}”." if said else ""
    if connection.scheme == "file":
        return Unavailable(
            f"The repository at {connection.url} could not be read.{why} Run git fsck "
            "there, and check the disk of the machine that runs Muster."
        )
    return Unavailable(
        "The mirror of this repository could not be read, not even after it was made "
        f"anew.{why} Check the disk of the machine that runs Muster."
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
