"""Connecting an organisation or group: adding, testing, changing and removing the right
to read it. What is in it is found by `discovery`, looked at again by `polling`.

A connection begins as a draft: its token is stored encrypted, tested, and shown to
nobody again; whoever adds it sees what the token may do and which repositories would
be connected, and then connects them or discards the draft."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from indexer import hooks, wakeup
from indexer.budgets import forget_budget
from indexer.connection_addresses import WishRefused, parse_place
from indexer.connection_owner import (
    find_api,
    find_installation,
    keep_owner,
    owner_of,
    write,
)
from indexer.crypto import WrongKey, decrypt, encrypt
from indexer.jobs import FREE
from indexer.models import Connection, Repository
from indexer.providers.base import Ability, Owner, RemoteRepository, Right
from indexer.providers.errors import ProviderError
from indexer.providers.registry import host_for
from indexer.repositories import remove_repository
from indexer.selection import parse_patterns, selection_of

logger = logging.getLogger(__name__)

MAX_SECRET = 20_000
KEPT_DRAFT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks to connect. `secret` None keeps the one there is."""

    kind: str  # Connection.Kind
    address: str = ""  # of the server; "" is github.com or gitlab.com
    owner: str = ""  # organisation, group or user; its page's address does, too
    secret: str | None = field(default=None, repr=False)
    app_id: str = ""  # of a GitHub App; then `secret` is its private key
    installation_id: str = ""  # "" is found by the owner
    include: str = ""
    exclude: str = ""
    with_forks: bool = False
    with_archived: bool = True
    with_subgroups: bool = True
    way: str = Connection.Way.API
    with_hooks: bool = True
    shares_writing: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """What a test found: the answer to "will this work?"."""

    works: bool  # it may be connected
    sentence: str  # what was found, or what is wrong and what to do
    account: str = ""
    rights: tuple[Right, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A repository that would not be connected, and why ("a fork")."""

    repository: RemoteRepository
    why: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a connection would take from its owner."""

    chosen: tuple[RemoteRepository, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


# Adding and changing -----------------------------------------------------------------


def draft_connection(wish: Wish, *, by: str = "") -> Connection:
    """Store a draft. Reaches nothing but the address's name. Raises WishRefused, with
    a sentence for whoever typed it."""
    connection = Connection(
        kind=_kind(wish),
        state=Connection.State.DRAFT,
        added_at=timezone.now(),
        added_by=by[:200],
    )
    _set_place(connection, wish)
    _set_secret(connection, wish)
    if not connection.secret:
        raise WishRefused("secret", "Enter a token.")
    _set_choice(connection, wish)
    connection.save(force_insert=True)
    return connection


def change_connection(connection: Connection, wish: Wish, *, by: str = "") -> None:
    """Change it, and look again. Another server empties the token: it is never sent
    elsewhere, and its repositories stay as they are, without the connection. Raises
    WishRefused."""
    server, owner = connection.web_url, connection.owner
    _set_place(connection, wish)
    moved = connection.web_url != server
    if moved:
        connection.secret = connection.access = ""
        connection.installation_id = ""
    _set_secret(connection, wish)
    if moved or connection.owner != owner:
        connection.owner_id = connection.owner_kind = ""
    _set_choice(connection, wish)
    connection.poll_etag, connection.failures = "", 0
    if connection.state != Connection.State.DRAFT:
        connection.state = Connection.State.NEW
        connection.message = ""
        connection.next_poll_at = None  # now
        if not connection.secret:
            connection.state = Connection.State.DENIED
            connection.message = "Enter a token for the new server."
    with transaction.atomic():
        connection.save(update_fields=CHANGED)
        # A look that runs is at what was there before: it ends and writes nothing.
        Connection.objects.filter(pk=connection.pk).update(**FREE)
        if moved:
            _leave_repositories(connection)
        if connection.state == Connection.State.NEW:
            request_poll(connection, by=by)


CHANGED = (
    "web_url", "api_url", "server", "owner", "owner_kind", "owner_id", "credential",
    "secret", "app_id", "installation_id", "access", "access_expires_at", "include",
    "exclude", "with_forks", "with_archived", "with_subgroups", "way", "with_hooks",
    "shares_writing", "poll_etag", "failures", "state", "message", "next_poll_at",
)  # fmt: skip


def connect(connection: Connection, *, by: str = "") -> None:
    """Make a draft a connection: the first discovery and its webhooks are owed now.
    Raises WishRefused if another connection has its owner."""
    _refuse_second(connection)
    with transaction.atomic():
        Connection.objects.filter(
            pk=connection.pk, state=Connection.State.DRAFT
        ).update(state=Connection.State.NEW, added_by=by[:200] or connection.added_by)
        request_poll(connection, by=by)
    connection.refresh_from_db()


def request_poll(connection: Connection, *, by: str = "", wake: bool = True) -> None:
    """Ask for a complete look at the provider now. After a failure only a person's
    wish (`by`) shortens the pause, and nothing shortens that of a rate limit."""
    rows = Connection.objects.filter(pk=connection.pk).exclude(
        state=Connection.State.DRAFT
    )
    rows.update(requested_seq=F("requested_seq") + 1)
    if by:
        logger.info("A look at connection %s was asked for by %s.", connection.pk, by)
        rows.exclude(state=Connection.State.WAITING).update(next_poll_at=timezone.now())
    if wake:
        transaction.on_commit(lambda: wakeup.wake(connection.pk, wakeup.POLL))


def remove_connection(connection: Connection, *, with_repositories: bool) -> None:
    """Forget the right to read. Its repositories go too, or stay as they are, to be
    read without its token; its webhooks are removed at the provider where we may."""
    if connection.state != Connection.State.DRAFT and connection.secret:
        try:
            hooks.remove_hooks(connection, host_for(connection, urgent=True))
        except (ProviderError, WrongKey) as error:
            logger.warning("Webhooks of %s stay at the provider: %s", connection, error)
    if with_repositories:
        for repository in connection.repositories.all():
            repository.connection = None  # which goes, and need not leave it out
            remove_repository(repository)
    pk = connection.pk
    with transaction.atomic():
        _leave_repositories(connection)
        Connection.objects.filter(pk=pk).delete()
        transaction.on_commit(lambda: forget_budget(pk))


def remove_old_drafts() -> int:
    """Drafts nobody connected within a day, with their tokens. Returns how many."""
    old = Connection.objects.filter(
        state=Connection.State.DRAFT, added_at__lt=timezone.now() - KEPT_DRAFT
    )
    count, _ = old.delete()
    return count


def secret_of(connection: Connection) -> str:
    """The token or key in the clear. Raises crypto.WrongKey."""
    return decrypt(connection.secret) if connection.secret else ""


def _leave_repositories(connection: Connection) -> None:
    """Its repositories without it: looked at as those that were added by address."""
    Repository.objects.filter(connection=connection).update(
        connection=None, next_crawl_at=timezone.now(), way="", read_by=""
    )


def _kind(wish: Wish) -> str:
    if wish.kind not in Connection.Kind.values:
        raise WishRefused("kind", "A connection is to GitHub or to GitLab.")
    return wish.kind


def _set_place(connection: Connection, wish: Wish) -> None:
    place = parse_place(connection.kind, wish.address, wish.owner)
    if not place.owner and not wish.app_id:
        raise WishRefused(
            "owner", "Say whose repositories to connect: a name such as acme."
        )
    if (place.web_url, place.server) != (connection.web_url, connection.server):
        connection.api_url = place.api_url
    connection.web_url, connection.server = place.web_url, place.server
    connection.owner = place.owner
    _refuse_second(connection)


def _refuse_second(connection: Connection) -> None:
    """Two connections with the same owner would take repositories from each other."""
    same = (
        Connection.objects.exclude(state=Connection.State.DRAFT)
        .exclude(pk=connection.pk)
        .filter(server=connection.server, owner__iexact=connection.owner)
    )
    if same.exists():
        raise WishRefused(
            "owner",
            f"{connection.owner or 'This app'} at {connection.server} is connected "
            "already. Change that connection.",
        )


def _set_secret(connection: Connection, wish: Wish) -> None:
    app_id = wish.app_id.strip()
    is_app = bool(app_id)
    if is_app and connection.kind != Connection.Kind.GITHUB:
        raise WishRefused("app_id", "Only GitHub has apps of this kind.")
    credential = Connection.Credential.APP if is_app else Connection.Credential.TOKEN
    if (connection.credential, connection.app_id) != (credential, app_id):
        connection.secret = ""  # a token is no key, and a key is of one app
    connection.credential, connection.app_id = credential, app_id[:40]
    if connection.installation_id != wish.installation_id.strip()[:40]:
        connection.installation_id = wish.installation_id.strip()[:40]
        connection.access = ""
    if wish.secret is None:
        return
    secret = wish.secret.strip()
    if is_app:
        if "PRIVATE KEY" not in secret or len(secret) > MAX_SECRET:
            raise WishRefused(
                "secret",
                "This is no private key. Paste the whole .pem file that GitHub gave.",
            )
    elif not secret.isascii() or not secret.isprintable() or " " in secret:
        raise WishRefused(
            "secret", "A token has no spaces and no line breaks. Paste it again."
        )
    elif not secret or len(secret) > MAX_SECRET:
        raise WishRefused("secret", "Enter a token.")
    try:
        connection.secret = encrypt(secret)
    except ImproperlyConfigured as error:  # there is no key to keep it with
        raise WishRefused("secret", str(error)) from error
    connection.access, connection.access_expires_at = "", None


def _set_choice(connection: Connection, wish: Wish) -> None:
    parse_patterns("include", wish.include)
    parse_patterns("exclude", wish.exclude)
    if wish.way not in Connection.Way.values:
        raise WishRefused("way", "Repositories are read over the API or a mirror.")
    connection.include, connection.exclude = wish.include, wish.exclude
    connection.with_forks = wish.with_forks
    connection.with_archived = wish.with_archived
    connection.with_subgroups = wish.with_subgroups
    connection.way, connection.with_hooks = wish.way, wish.with_hooks
    connection.shares_writing = wish.shares_writing


# Testing -----------------------------------------------------------------------------


def test_connection(connection: Connection) -> Findings:
    """Ask the provider who the token is and what it may do, find the owner, and keep
    the answer on the row. Never raises for what the provider says."""
    try:
        secret_of(connection)  # a key that is lost is said before anybody is asked
        find_api(connection)
        said: tuple[Right, ...] = ()
        if connection.credential == Connection.Credential.APP:
            said = find_installation(connection)
        host = host_for(connection, urgent=True)
        owner = host.find_owner(connection.owner)
        rights = host.check(owner)
        # What only a trial would tell, an app's installation may say.
        by_ability = {right.ability: right for right in said}
        told = tuple(
            by_ability.get(right.ability, right) if right.granted is None else right
            for right in rights.rights
        )
        keep_owner(connection, owner)
        write(
            connection,
            account=rights.account[:255],
            rights=[
                {
                    "ability": right.ability.value,
                    "granted": right.granted,
                    "sentence": right.sentence,
                }
                for right in told
            ],
            token_expires_at=rights.expires_at,
            tested_at=timezone.now(),
        )
    except (ProviderError, WrongKey) as error:
        sentence = error.sentence if isinstance(error, ProviderError) else str(error)
        return Findings(works=False, sentence=sentence)
    reading = next((r for r in told if r.ability is Ability.READ), None)
    refusal = reading.sentence if reading and reading.granted is False else ""
    if not refusal and connection.state == Connection.State.DENIED:
        # The same token may read again: somebody gave it the right.
        connection.state, connection.message = Connection.State.NEW, ""
        connection.save(update_fields=["state", "message"])
        request_poll(connection)
    return Findings(
        works=not refusal,
        sentence=refusal or _found_sentence(connection, owner),
        account=rights.account,
        rights=told,
    )


def _found_sentence(connection: Connection, owner: Owner) -> str:
    kind = Connection.OwnerKind(owner.kind.value).label
    name = owner.path or connection.server
    return f"{connection.provider_name} answers, and the {kind} {name} is there."


def preview(connection: Connection) -> Preview:
    """A whole listing, sorted by what its patterns say. Raises ProviderError."""
    host = host_for(connection, urgent=True)
    owner = owner_of(connection) or host.find_owner(connection.owner)
    listed = host.list_repositories(owner, with_subgroups=connection.with_subgroups)
    selection = selection_of(connection)
    chosen, left_out = [], []
    for repository in sorted(listed, key=lambda each: each.path.lower()):
        why = selection.why_not(repository)
        if why:
            left_out.append(LeftOut(repository, why))
        else:
            chosen.append(repository)
    return Preview(tuple(chosen), tuple(left_out))
