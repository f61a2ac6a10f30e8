"""What a password may not be, and what is said when one is changed; Django asks these
wherever one is set: AUTH_PASSWORD_VALIDATORS."""

from __future__ import annotations

import logging
import re
import unicodedata
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError

from indexer.api_tokens import tokens_in_force

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger(__name__)

LONG = 3  # letters of a name that may be part of a password
LEAST = 4  # letters that it then has beside the name


class NameIsNoPassword:
    """Refuses a person's own name, repeated or with digits and signs around it.
    Django's UserAttributeSimilarityValidator lets those pass: “adaada” is two thirds
    like “ada”, and it asks for seven tenths."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Raises ValidationError."""
        folded = _folded(password)
        for name in _names(user):
            left = re.sub(r"[\W\d_]", "", folded.replace(name, " "))
            if name in folded and len(left) < (LEAST if len(name) >= LONG else 1):
                raise ValidationError(
                    "The password is little more than your name.",
                    code="password_is_name",
                )

    def get_help_text(self) -> str:
        return "Your password is more than your name with something around it."


class TokensToldOf:
    """Refuses nothing. Says in the log that API tokens outlive a password: also to who
    runs `manage.py changepassword`."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Every password is good."""

    def password_changed(self, password: str, user: User | None = None) -> None:
        if user is None or user.pk is None:
            return
        if count := tokens_in_force(user).count():
            logger.warning(
                "The password of %s is changed. API tokens of theirs that work on: "
                "%d. Revoke them in the administration, under Api tokens.",
                user.get_username(),
                count,
            )

    def get_help_text(self) -> str:
        return ""


def _names(user: User | None) -> set[str]:
    """What a person is called, whole and in parts."""
    if user is None:
        return set()
    account = getattr(user, "account", None)
    texts = [user.get_username(), user.first_name, user.last_name, user.email]
    texts += [account.name, account.email] if account else []
    folded = [_folded(text) for text in texts if text]
    parts = [part for text in folded for part in re.split(r"[\W_]+", text)]
    return {name for name in folded + parts if name}


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
