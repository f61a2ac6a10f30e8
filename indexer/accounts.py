"""A person's account: how they stand in Git, and their role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.models import Account

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_NAME = 200
MAX_EMAIL = 254
# What Git cuts off both ends of a name or an e-mail (ident.c, `crud`).
CRUD = "".join(map(chr, range(33))) + ".,:;<>\"\\'"


class IdentityRefused(ValueError):
    """No name or e-mail for Git; `sentence` says why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def account_of(user: User) -> Account:
    """The account of a person; a new one, not stored yet, for who has none. One query
    the first time."""
    try:
        return user.account
    except Account.DoesNotExist:
        return Account(
            user=user,
            name=(user.get_full_name() or user.get_username())[:MAX_NAME],
            email=user.email[:MAX_EMAIL],
        )


def keep_identity(user: User, *, name: str, email: str) -> None:
    """Write how a person stands in Git from now on."""
    Account.objects.update_or_create(user=user, defaults={"name": name, "email": email})


def keep_role(user: User, role: str) -> None:
    """Give a person a role."""
    new = account_of(user)
    Account.objects.update_or_create(
        user=user,
        defaults={"role": role},
        create_defaults={"role": role, "name": new.name, "email": new.email},
    )


def check_identity(text: str) -> str:
    """A name or an e-mail as Git takes it; "" stays "". Raises IdentityRefused for what
    would break the line of a tag or a commit that it is written to."""
    text = text.strip()
    if "<" in text or ">" in text:
        raise IdentityRefused("Git allows no “<” and no “>” here.")
    if not text.isprintable():
        raise IdentityRefused("Git allows no line breaks or control characters here.")
    if text and not text.strip(CRUD):
        raise IdentityRefused("Git needs a letter or a digit here.")
    return text
