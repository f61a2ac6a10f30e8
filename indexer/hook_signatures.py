"""Whether a delivery comes from whom we share a secret with. Pure; everything is
compared in constant time, over the bytes as they came."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping

# How old or early a signed GitLab delivery may be, as the Standard Webhooks
# specification asks for, which that scheme follows.
LONGEST_SKEW = 300  # seconds

GITHUB = re.compile(r"sha256=([0-9a-f]{64})", re.ASCII)
TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
SIGNATURES = re.compile(r"[!-~]+(?: [!-~]+){0,9}", re.ASCII)
WEBHOOK_ID = re.compile(r"[!-~]{1,200}", re.ASCII)
PREFIX = "whsec_"


def is_from_github(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Whether `X-Hub-Signature-256` is that of the body. The older SHA-1 header counts
    for nothing; a header sent twice arrives as one with a comma, which is none.
    https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries"""
    found = GITHUB.fullmatch(headers.get("X-Hub-Signature-256", ""))
    if not secret or not found:
        return False
    right = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(found[1], right)


def is_from_gitlab(
    headers: Mapping[str, str], body: bytes, secret: str, now: float
) -> bool:
    """Whether GitLab sent it: by a signature where there is one, else by the token
    that it sends in plain. `now` is in seconds since 1970.
    https://docs.gitlab.com/user/project/integrations/webhooks/"""
    if not secret:
        return False
    if "webhook-signature" in headers:
        return _is_signed(headers, body, secret, now)
    token = headers.get("X-Gitlab-Token", "")
    # As bytes: compare_digest takes no text beyond ASCII.
    return hmac.compare_digest(
        token.encode("latin-1", "replace"), secret.encode("utf-8")
    )


def _is_signed(
    headers: Mapping[str, str], body: bytes, secret: str, now: float
) -> bool:
    """`webhook-signature: v1,<base64> …` over id, time and body."""
    delivery_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    given = headers["webhook-signature"]
    if (
        not WEBHOOK_ID.fullmatch(delivery_id)
        or not TIMESTAMP.fullmatch(timestamp)
        or not SIGNATURES.fullmatch(given)
        or abs(now - int(timestamp)) > LONGEST_SKEW
    ):
        return False
    signed = f"{delivery_id}.{timestamp}.".encode("ascii") + body
    right = [
        b"v1," + b64encode(hmac.new(key, signed, hashlib.sha256).digest())
        for key in _keys(secret)
    ]
    # No short way out: each is compared with each.
    found = [
        hmac.compare_digest(one.encode("ascii"), other)
        for one in given.split(" ")
        for other in right
    ]
    return any(found)


def _keys(secret: str) -> list[bytes]:
    """What the secret may stand for: itself, or, after `whsec_`, what it spells in
    base64."""
    keys = [secret.encode()]
    if secret.startswith(PREFIX):
        try:
            keys.append(b64decode(secret.removeprefix(PREFIX), validate=True))
        except (Base64Error, ValueError):
            pass
    return [key for key in keys if key]
