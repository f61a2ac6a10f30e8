"""The webhooks of a connection at its provider: made where the token allows it, looked
after, and removed. What a page says of them: `hook_facts`. What a delivery does when it
comes: `deliveries`.

One webhook for the whole organisation or group is wanted. Where the token may not make
that, each repository gets its own; where it may not do that either, a person makes the
first by hand."""

from __future__ import annotations

import logging
import secrets
import time
from base64 import b64encode
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.urls import reverse
from django.utils import timezone

from indexer.crypto import decrypt, encrypt
from indexer.models import Connection, Hook, Repository
from indexer.providers import errors
from indexer.providers.base import Host, Owner, OwnerKind

logger = logging.getLogger(__name__)

# A provider takes 80 new things a minute and 500 an hour (GitHub, "Secondary rate
# limits"); tags that people make count, too.
MADE_AT_ONCE = 40
LOOKED_AT_ONCE = 60  # repositories whose webhook is looked for in one call
REFUSALS = 3  # of repositories, and none allowed: then no other is tried
FAILURES = 3  # in one call, the same
LOOK_AGAIN = timedelta(days=1)  # at the webhook of one repository
STILL_WORKS = timedelta(days=7)  # one made by hand, after its last delivery
REMOVAL_SECONDS = 20.0  # for all webhooks of a connection that goes

WITH_HOOKS = {Connection.OwnerKind.ORGANISATION, Connection.OwnerKind.GROUP}
HOW_TO_ALLOW = {
    "github": (
        "give the token admin:org_hook (a fine-grained one: “Webhooks: read and "
        "write”) and Muster makes it"
    ),
    "gitlab": (
        "give the token the scope api and the role Owner (in a project: Maintainer) "
        "and Muster makes it"
    ),
}
APP_BY_HAND = (
    "A GitHub App has one webhook for all that it was given: enter this one in the "
    "app's settings."
)


def ensure_hooks(connection: Connection, host: Host) -> None:
    """See to it that the provider tells us of changes. To be called after a complete
    listing: one request if all is well, more where webhooks are missing.

    What the provider says becomes a state and a sentence on the `Hook` rows. Looks
    before it makes, so that after a lost answer the next call finds what was made.
    Raises no ProviderError; crypto.WrongKey as every use of a secret."""
    hook = owner_hook(connection)
    by_hand = _why_by_hand(connection)
    if by_hand:
        _note(hook, Hook.State.MANUAL, by_hand)
        return
    try:
        if _ensure_owner_hook(connection, host, hook):
            _drop_repository_hooks(connection, host)
        elif _arrived_since(hook, timezone.now() - STILL_WORKS):
            return  # one made by hand does
        elif connection.credential == Connection.Credential.APP:
            _note(hook, Hook.State.MANUAL, APP_BY_HAND)
        else:
            _ensure_repository_hooks(connection, host, hook)
    except errors.ProviderError as error:
        # Nothing is known of what was not answered: the next call looks again.
        logger.info("Webhooks of connection %s: %s", connection.pk, error.sentence)


def owner_hook(connection: Connection) -> Hook:
    """The row of the webhook of a whole organisation or group, made if it is not
    there."""
    return _row(connection, None)


def remove_hooks(connection: Connection, host: Host) -> None:
    """Remove what Muster made at the provider, before a connection goes. Does what it
    can within some seconds; never raises for what the provider says."""
    until = time.monotonic() + REMOVAL_SECONDS
    rows = connection.hooks.filter(state=Hook.State.MADE).select_related("repository")
    for hook in rows.order_by(F("repository").asc(nulls_first=True)):
        if time.monotonic() > until:
            break
        owner, path = _place(connection, hook.repository)
        try:
            host.delete_hook(owner, path, hook.remote_id)
        except errors.ProviderError as error:
            logger.warning(
                "Webhook %s stays at the provider: %s", hook.uuid, error.sentence
            )
            if not _is_refusal(error):
                return
        else:
            _note(hook, Hook.State.WANTED, "", remote_id="")


def _row(connection: Connection, repository: Repository | None) -> Hook:
    """Its row, with a secret of its own. Committed before the provider hears of it,
    so that the first delivery is known."""
    hook, _ = Hook.objects.get_or_create(
        connection=connection,
        repository=repository,
        defaults={"secret": encrypt(_new_secret())},
    )
    return hook


def _new_secret() -> str:
    """32 random bytes, in a form that both of GitLab's schemes and GitHub's take."""
    return "whsec_" + b64encode(secrets.token_bytes(32)).decode("ascii")


def _why_by_hand(connection: Connection) -> str:
    """Why Muster cannot even try, "" if it can."""
    name = connection.provider_name
    scheme, _, place = settings.MUSTER_PUBLIC_URL.partition("://")
    if not place:
        return (
            f"Muster does not know the address at which {name} reaches it: set "
            "MUSTER_PUBLIC_URL."
        )
    if scheme != "https" and not (scheme == "http" and settings.MUSTER_ALLOW_PRIVATE):
        return "MUSTER_PUBLIC_URL must begin with https:// for webhooks."
    if not connection.with_hooks:
        return "Muster was told to make no webhook here. One made by hand works."
    return ""


def _place(
    connection: Connection, repository: Repository | None
) -> tuple[Owner | None, str]:
    """Where a webhook belongs, as `Host` takes it: an owner, or a repository's path."""
    if repository is not None:
        return None, repository.path
    kind = OwnerKind(connection.owner_kind)
    return Owner(kind, connection.owner_id, connection.owner), ""


def _ensure_owner_hook(connection: Connection, host: Host, hook: Hook) -> bool:
    """Whether the whole organisation or group has its webhook now."""
    if connection.owner_kind not in WITH_HOOKS:
        _note(
            hook,
            Hook.State.REFUSED,
            f"{connection.provider_name} has no webhook for all of a user's "
            "repositories.",
        )
        return False
    try:
        _keep_or_make(connection, host, hook)
    except errors.ProviderError as error:
        if not _is_refusal(error):
            raise
        _note(hook, Hook.State.REFUSED, error.sentence)
        return False
    return True


def _keep_or_make(connection: Connection, host: Host, hook: Hook) -> bool:
    """Find our webhook at the provider or make it. One that is switched off, or leads
    to where we were once, is made anew; a second one goes. Whether one was made."""
    owner, path = _place(connection, hook.repository)
    address = address_of(hook)
    ours = [
        found
        for found in host.list_hooks(owner, path)
        if found.url.rstrip("/").endswith(f"/{hook.uuid}")
    ]
    kept = next((h for h in ours if h.is_active and h.url == address), None)
    for other in ours:
        if other is not kept:
            host.delete_hook(owner, path, other.id)
    was_made = kept is None
    if kept is None:
        kept = host.create_hook(owner, path, url=address, secret=decrypt(hook.secret))
    _note(hook, Hook.State.MADE, "", remote_id=kept.id)
    return was_made


def _ensure_repository_hooks(connection: Connection, host: Host, hook: Hook) -> None:
    """A webhook for each repository, those that wait longest first. `hook` is the
    owner's row: it says so if the token may make none at all."""
    made = refused = failed = 0
    some = False
    for repository in _to_look_at(connection)[:LOOKED_AT_ONCE]:
        own = _row(connection, repository)
        own.repository = repository
        try:
            made += _keep_or_make(connection, host, own)
            some = True
        except errors.ProviderError as error:
            if _is_refusal(error):
                refused += 1
                _note(own, Hook.State.REFUSED, error.sentence)
            elif isinstance(error, errors.RateLimited | errors.AccessDenied):
                raise
            else:  # of this one alone, perhaps
                failed += 1
                logger.info("Webhook of %s: %s", repository, error.sentence)
        if made >= MADE_AT_ONCE or failed >= FAILURES:
            return
        if refused >= REFUSALS and not some:
            _note(hook, Hook.State.MANUAL, _no_right(connection))
            return


def _no_right(connection: Connection) -> str:
    return (
        "The token may not make webhooks. Make one by hand as described here, or "
        f"{HOW_TO_ALLOW[connection.kind]}."
    )


def _to_look_at(connection: Connection) -> QuerySet[Repository]:
    """Repositories whose webhook is missing, or was not heard of or looked at for a
    day."""
    before = timezone.now() - LOOK_AGAIN
    own = connection.hooks.filter(repository=OuterRef("pk"))
    fresh = own.filter(
        Q(checked_at__gte=before)
        | Q(state=Hook.State.MADE, last_delivery_at__gte=before)
    )
    looked = Subquery(own.values("checked_at")[:1])
    return (
        _watched(connection)
        .exclude(Exists(fresh))
        .order_by(looked.asc(nulls_first=True), "pk")
    )


def _watched(connection: Connection) -> QuerySet[Repository]:
    """The repositories of a connection that are to have a webhook."""
    return Repository.objects.filter(
        connection=connection, is_enabled=True, is_archived=False, hidden_at=None
    )


def _drop_repository_hooks(connection: Connection, host: Host) -> None:
    """The owner's webhook tells all: those of repositories go."""
    rows = connection.hooks.exclude(repository=None).select_related("repository")
    for hook in rows[:MADE_AT_ONCE]:
        owner, path = _place(connection, hook.repository)
        try:
            if hook.remote_id:
                host.delete_hook(owner, path, hook.remote_id)
        except errors.ProviderError as error:
            if not _is_refusal(error):
                raise
        hook.delete()


def _is_refusal(error: errors.ProviderError) -> bool:
    """Whether the provider said that we may not, or hides that we may not."""
    if isinstance(error, errors.AccessDenied):
        return getattr(error, "status", 0) == 403
    return isinstance(error, errors.Refused | errors.NotFound)


def _note(
    hook: Hook, state: Hook.State, sentence: str, *, remote_id: str | None = None
) -> None:
    """Write how a webhook was found, now."""
    hook.state, hook.message, hook.checked_at = state, sentence, timezone.now()
    if remote_id is not None:
        hook.remote_id = remote_id[:64]
    hook.save(update_fields=["state", "message", "checked_at", "remote_id"])


def _arrived_since(hook: Hook, since: datetime) -> bool:
    return hook.last_delivery_at is not None and hook.last_delivery_at >= since


def address_of(hook: Hook) -> str:
    """Where the provider sends to; without scheme and host while MUSTER_PUBLIC_URL is
    not set."""
    path = reverse(f"hook_{hook.connection.kind}", args=[hook.uuid])
    return f"{settings.MUSTER_PUBLIC_URL}{path}"


def is_healthy(connection: Connection) -> bool:
    """Whether the provider can be trusted to tell us of changes, so that we may ask
    less often: something came once, and lately something came or the webhook was seen
    in its place. Runs at most three queries."""
    lately = timezone.now() - max(LOOK_AGAIN, 2 * settings.MUSTER_DISCOVERY_INTERVAL)
    fresh = Q(last_delivery_at__gte=lately) | Q(
        state=Hook.State.MADE, checked_at__gte=lately
    )
    hooks = connection.hooks.filter(fresh).exclude(last_delivery_at=None)
    if hooks.filter(repository=None).exists():
        return True
    if not hooks.exists():
        return False
    # Twice as long, as those of repositories are looked at once a day.
    lately -= LOOK_AGAIN
    seen = connection.hooks.filter(
        Q(checked_at__gte=lately) | Q(last_delivery_at__gte=lately),
        state=Hook.State.MADE,
    )
    unseen = _watched(connection).exclude(pk__in=seen.values("repository"))
    return not unseen.exists()
