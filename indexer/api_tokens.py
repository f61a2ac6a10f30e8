"""Making, finding and revoking API tokens. What a token may do: `indexer.permissions`.

A token is 32 random bytes, so that its plain SHA-256 cannot be turned back by guessing;
and a digest is looked up, never compared with the token, so that how long an answer
takes says nothing about it."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import TYPE_CHECKING

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from indexer.full_disk import is_disk_full
from indexer.models import ApiToken

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MARK = "muster_"  # a token that lies about is found by it
RANDOM_BYTES = 32
SHOWN = 6  # characters after the mark, of 43
MOST_TOKENS = 50  # of one person, not revoked
USE_NOTED_EVERY = timedelta(minutes=1)


class TokenRefused(ValueError):
    """A token that is not made; the text says why and what to do."""


def make_token(
    user: User, name: str, scope: ApiToken.Scope, expires_at: datetime | None
) -> tuple[ApiToken, str]:
    """A new token: its row, and its text, which nobody can tell again. Raises
    TokenRefused."""
    text = MARK + token_urlsafe(RANDOM_BYTES)
    if own_tokens(user).count() >= MOST_TOKENS:
        raise TokenRefused(
            f"You have {MOST_TOKENS} tokens, which is the most. Revoke one first."
        )
    try:
        with transaction.atomic():
            token = ApiToken.objects.create(
                user=user,
                name=name,
                digest=digest_of(text),
                prefix=text[: len(MARK) + SHOWN],
                scope=scope,
                created_at=timezone.now(),
                expires_at=expires_at,
            )
    except IntegrityError as error:
        raise TokenRefused(
            f"You have a token named “{name}” already. Take another name, or revoke "
            "that one first."
        ) from error
    return token, text


def token_in_force(text: str) -> ApiToken | None:
    """The token with its person, if it is known, neither revoked nor expired, and the
    person may still sign in. One query."""
    now = timezone.now()
    return (
        ApiToken.objects.filter(
            Q(expires_at__isnull=True) | Q(expires_at__gt=now),
            digest=digest_of(text),
            revoked_at__isnull=True,
            user__is_active=True,
        )
        .select_related("user")
        .first()
    )


def note_use(token: ApiToken) -> None:
    """Keep when it was used last. One query, at most once a minute. Reading goes on
    where a full disk cannot keep it."""
    now = timezone.now()
    if token.last_used_at and now - token.last_used_at < USE_NOTED_EVERY:
        return
    try:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    except DatabaseError as error:
        if not is_disk_full(error):
            raise


def own_tokens(user: User) -> QuerySet[ApiToken]:
    """Those a person has and did not revoke, newest first."""
    return ApiToken.objects.filter(user=user, revoked_at__isnull=True)


def tokens_in_force(user: User) -> QuerySet[ApiToken]:
    """Those of a person that work."""
    now = timezone.now()
    return own_tokens(user).filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now))


def revoke(tokens: QuerySet[ApiToken]) -> int:
    """End these tokens at once; how many were not revoked before."""
    return tokens.filter(revoked_at__isnull=True).update(revoked_at=timezone.now())


def digest_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()
