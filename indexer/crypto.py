"""Credentials at rest: encrypted with keys that are not in the database.

The keys are MUSTER_ENCRYPTION_KEYS: Fernet keys separated by commas. The first one
encrypts, all of them decrypt: to change a key, put the new one in front, run
`manage.py reencrypt`, and drop the old one. Embedded, without that setting, a key is
made once and kept in MUSTER_DATA/encryption_key, which only we can read."""

from __future__ import annotations

from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from registry_site.kept_files import kept

KEY_FILE = "encryption_key"
HOW = (
    'Make one with: python -c "from cryptography.fernet import Fernet; '
    'print(Fernet.generate_key().decode())"'
)


class WrongKey(ImproperlyConfigured):
    """A stored credential was encrypted with a key we do not have."""


def encrypt(text: str) -> str:
    """A token that `decrypt` turns back into `text`. Raises ImproperlyConfigured if
    there is no key."""
    return _fernet().encrypt(text.encode()).decode("ascii")


def decrypt(token: str) -> str:
    """The text of a token. Raises WrongKey if none of our keys made it or there is
    none, so that a credential is never silently empty or wrong."""
    try:
        fernet = _fernet()
    except ImproperlyConfigured:
        raise WrongKey(
            "A stored credential cannot be decrypted: here MUSTER_ENCRYPTION_KEYS is "
            "missing or holds no key. Give every process of Muster the keys it was "
            "stored with."
        ) from None
    try:
        return fernet.decrypt(token.encode()).decode()
    except InvalidToken:
        raise WrongKey(
            "A stored credential cannot be decrypted: its key is not among "
            "MUSTER_ENCRYPTION_KEYS. Add the key that was used, or enter the "
            "credential again."
        ) from None


def keys() -> list[str]:
    """Our keys, the first of which encrypts. Raises ImproperlyConfigured if there are
    none."""
    given: list[str] = list(getattr(settings, "MUSTER_ENCRYPTION_KEYS", ()))
    if given:
        return given
    if not settings.EMBEDDED:
        raise ImproperlyConfigured(
            "MUSTER_ENCRYPTION_KEYS is missing. With DEBUG=False set it (or "
            f"MUSTER_ENCRYPTION_KEYS_FILE) before storing a credential. {HOW}"
        )
    return [_kept_key(Path(settings.MUSTER_DATA) / KEY_FILE)]


def _fernet() -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys()])
    except ValueError:
        raise ImproperlyConfigured(
            "MUSTER_ENCRYPTION_KEYS holds something that is no key: each is 32 bytes "
            f"in URL-safe base64. {HOW}"
        ) from None


def _kept_key(path: Path) -> str:
    """This installation's key, made at the first call."""
    try:
        return kept(path, lambda: Fernet.generate_key().decode())
    except OSError as error:
        raise ImproperlyConfigured(
            f"MUSTER_DATA: cannot keep a key in {path}: {error.strerror}"
        ) from error
