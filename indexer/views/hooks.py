"""The door for webhooks: the only views that take a POST without a session.

In this order: the size by its header, the webhook by its address, the signature over
the bytes as they came, and only then a look at what they say. Nothing here talks to a
provider or to the queue."""

from __future__ import annotations

import json
import logging
import re
import time
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from indexer import deliveries
from indexer.crypto import decrypt
from indexer.hook_events import Meaning, read_github, read_gitlab
from indexer.hook_signatures import is_from_github, is_from_gitlab
from indexer.models import Connection, Hook

logger = logging.getLogger(__name__)

MAX_BYTES = 25 * 1024 * 1024  # GitHub sends no payload that is larger
EVENT = re.compile(r"[A-Za-z0-9_ -]{1,60}", re.ASCII)
JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"
# The same for an address nobody has and for a signature that is wrong.
REFUSED = "No such webhook, or its signature is not right."
BROKEN = "Muster cannot take this now. Send it again later."


class Rejected(Exception):
    """What came is not taken; with which status and why."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


@csrf_exempt
@require_POST
def github(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """A delivery from GitHub."""
    return _answer(request, Connection.Kind.GITHUB, uuid)


@csrf_exempt
@require_POST
def gitlab(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """A delivery from GitLab."""
    return _answer(request, Connection.Kind.GITLAB, uuid)


def _answer(request: HttpRequest, kind: Connection.Kind, uuid: UUID) -> HttpResponse:
    """202 with what was done in plain words, or a refusal. Never a page, and no 500:
    a provider stops sending to an address that fails."""
    status = 202
    try:
        said = _take(request, kind, uuid)
    except Rejected as error:
        status, said = error.status, error.sentence
    except deliveries.Busy:
        status, said = 503, BROKEN
    except DatabaseError as error:
        logger.error("A delivery for webhook %s failed: %s", uuid, type(error).__name__)
        status, said = 503, BROKEN
    return HttpResponse(
        f"{said}\n", status=status, content_type="text/plain; charset=utf-8"
    )


def _take(request: HttpRequest, kind: Connection.Kind, uuid: UUID) -> str:
    length = _length(request)
    hook, secret = _find(kind, uuid)
    body = _read(request, length)
    if kind == Connection.Kind.GITHUB:
        is_right = is_from_github(request.headers, body, secret)
    else:
        is_right = is_from_gitlab(request.headers, body, secret, time.time())
    if not is_right:
        logger.warning("A delivery for webhook %s has no right signature.", uuid)
        raise Rejected(401, REFUSED)
    payload = _payload(request, kind, body)
    event, meaning = _meaning(request, kind, payload)
    return deliveries.receive(
        deliveries.Arrival(
            hook=hook,
            delivery_id=deliveries.delivery_id_of(
                kind, request.headers, body, timezone.now()
            ),
            event=event,
            meaning=meaning,
        )
    )


def _length(request: HttpRequest) -> int:
    """What the header says of the body, before any of it is read."""
    text = request.META.get("CONTENT_LENGTH") or ""
    if not text:
        raise Rejected(411, "A delivery says its length (Content-Length).")
    if not (text.isascii() and text.isdigit()):
        raise Rejected(400, "Content-Length is no number.")
    # Text that long is a number too large, whatever it says.
    if len(text) > 18 or int(text) > MAX_BYTES:
        raise Rejected(413, "A delivery has at most 25 MB.")
    return int(text)


def _find(kind: Connection.Kind, uuid: UUID) -> tuple[Hook, str]:
    """The webhook and its secret. Not found before the body is read: a stranger makes
    us hold nothing in memory."""
    hook = (
        Hook.objects.select_related("connection", "repository")
        .defer(
            "connection__secret",
            "connection__access",
            "repository__secret",
            "repository__description",
            "repository__stage_order",
        )
        .filter(uuid=uuid, connection__kind=kind)
        .first()
    )
    if hook is None:
        raise Rejected(401, REFUSED)
    try:
        secret = decrypt(hook.secret) if hook.secret else ""
    except ImproperlyConfigured as error:
        logger.error("The secret of webhook %s cannot be used: %s", uuid, error)
        raise Rejected(503, BROKEN) from None
    return hook, secret


def _read(request: HttpRequest, length: int) -> bytes:
    """The whole body as it came. Not `request.body`, whose limit is that of forms."""
    body = bytearray()
    try:
        while len(body) < length:
            part = request.read(length - len(body))
            if not part:
                break
            body += part
    except OSError:
        body.clear()
    if len(body) != length:
        raise Rejected(400, "The delivery ended early.")
    return bytes(body)


def _payload(
    request: HttpRequest, kind: Connection.Kind, body: bytes
) -> dict[str, Any]:
    """The JSON object that was sent, by itself or, by GitHub, in a form."""
    content_type = request.content_type
    try:
        text = body.decode("utf-8")
        if kind == Connection.Kind.GITHUB and content_type == FORM_TYPE:
            fields = parse_qs(text, strict_parsing=True, max_num_fields=10)
            (text,) = fields.get("payload", [])
        elif content_type != JSON_TYPE:
            raise Rejected(415, f"A delivery is {JSON_TYPE}.")
        payload = json.loads(text)
    except (ValueError, RecursionError):
        raise Rejected(400, "The delivery is not the JSON it should be.") from None
    if not isinstance(payload, dict):
        raise Rejected(400, "The delivery is no JSON object.")
    return payload


def _meaning(
    request: HttpRequest, kind: Connection.Kind, payload: dict[str, Any]
) -> tuple[str, Meaning]:
    """The event's name, fit to be shown, and what it means."""
    is_github = kind == Connection.Kind.GITHUB
    event = request.headers.get("X-GitHub-Event" if is_github else "X-Gitlab-Event", "")
    if not EVENT.fullmatch(event):
        event = "unknown event"
    read = read_github if is_github else read_gitlab
    return event, read(event, payload)
