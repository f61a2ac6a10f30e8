"""People's own tokens at providers: by them Muster writes as the person who asked. A
token goes to the server it was entered for and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from indexer.accounts import MAX_EMAIL
from indexer.connection_addresses import HOME, Place, WishRefused
from indexer.connection_owner import found_api
from indexer.crypto import WrongKey, decrypt, encrypt
from indexer.models import Connection, ProviderToken
from indexer.permissions import can_manage
from indexer.providers.base import Ability, Host, Rights
from indexer.providers.errors import ProviderError
from indexer.providers.registry import host_for

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_SECRET = 4000
WRITES = (Ability.TAGS, Ability.CONTENTS)
# The one answer to whoever may not connect servers, whatever is at the address: else
# they could look around the network of this site.
UNKNOWN_SERVER = (
    "Muster reads nothing at this server. Ask an admin to connect it; then it is in "
    "the list."
)


@dataclass(frozen=True, slots=True)
class Tested:
    """Whether a token works, and what to tell its person."""

    works: bool
    sentence: str


def known_servers() -> list[tuple[str, Place]]:
    """(kind, server) of the connections, then the providers' own. One query."""
    rows = (
        Connection.objects.exclude(state=Connection.State.DRAFT)
        .order_by("kind", "web_url")
        .values_list("kind", "web_url", "api_url", "server")
    )
    known = {
        web: (kind, Place(web, api, server, "")) for kind, web, api, server in rows
    }
    for home in HOME:
        place = home_of(home)
        known.setdefault(place.web_url, (home.value, place))
    return list(known.values())


def known_server(kind: str, address: str) -> Place:
    """The server of this kind at an address as somebody typed it, if it is one of
    `known_servers`; nobody is asked and no name is looked up. Raises WishRefused."""
    typed = address.strip().rstrip("/")
    url = typed if "://" in typed else f"https://{typed}"
    for known_kind, place in known_servers():
        if known_kind == kind and place.web_url.lower() == url.lower():
            return place
    raise WishRefused("address", UNKNOWN_SERVER)


def home_of(kind: Connection.Kind) -> Place:
    """A provider's own server."""
    home = HOME[kind]
    api = "https://api.github.com" if home == "github.com" else f"https://{home}/api/v4"
    return Place(f"https://{home}", api, home, "")


def keep_token(user: User, *, kind: str, place: Place, secret: str) -> ProviderToken:
    """Keep a person's token for a server, in place of the one there was. Raises
    WishRefused."""
    secret = secret.strip()
    if not secret or len(secret) > MAX_SECRET:
        raise WishRefused("secret", "Enter a token.")
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise WishRefused(
            "secret", "A token has no spaces and no line breaks. Paste it again."
        )
    try:
        kept = encrypt(secret)
    except ImproperlyConfigured as error:  # there is no key to keep it with
        raise WishRefused("secret", str(error)) from error
    token, _ = ProviderToken.objects.update_or_create(
        user=user,
        web_url=place.web_url,
        defaults={
            "kind": kind,
            "server": place.server,
            "api_url": place.api_url,
            "secret": kept,
            "added_at": timezone.now(),
            "account": "",
            "rights": [],
            "emails": [],
            "expires_at": None,
            "tested_at": None,
        },
    )
    return token


def verifier_of(user: User, email: str) -> str:
    """The server that says this address is this person's, as far as a test of their
    token there found out; "" if none does. Only a server that an admin connected, or
    GitHub and GitLab themselves: at one of their own anybody says anything."""
    tokens = user.provider_tokens.exclude(tested_at=None)
    told = [
        token
        for token in tokens
        if email.casefold() in {one.casefold() for one in token.emails}
    ]
    if not told:
        return ""
    known = {place.web_url for _, place in known_servers()}
    return next((token.server for token in told if token.web_url in known), "")


def host_of(token: ProviderToken) -> Host:
    """The server as a person's token sees it. It is asked as a draft of a connection
    is: by a person who waits, outside of every budget."""
    return host_for(draft_of(token), urgent=True)


def try_token(token: ProviderToken) -> Tested:
    """Ask whose it is and whether it may make tags and commits; write what was found
    unless another was entered meanwhile. A server that no connection leads to any more
    is asked for an admin only."""
    try:
        if not can_manage(token.user):
            known_server(token.kind, token.web_url)
        decrypt(token.secret)  # a lost key is said before anybody is asked
        _find_api(token)
        found = host_of(token).check()
    except (ProviderError, WrongKey) as error:
        sentence = error.sentence if isinstance(error, ProviderError) else str(error)
        return Tested(False, sentence)
    _keep_findings(token, found)
    whose = f"“{found.account}” there" if found.account else "not told"
    return Tested(True, f"{token.server} answers. Whose token it is: {whose}.")


def draft_of(token: ProviderToken) -> Connection:
    """The token as a connection that nobody stored, to ask its server with."""
    return Connection(
        kind=token.kind,
        web_url=token.web_url,
        api_url=token.api_url,
        server=token.server,
        secret=token.secret,
        state=Connection.State.DRAFT,
    )


def _find_api(token: ProviderToken) -> None:
    """Where the API of a GitHub of one's own is; on the same server, whatever it
    says."""
    if api_url := found_api(draft_of(token)):
        token.api_url = api_url
        token.save(update_fields=["api_url"])


def _keep_findings(token: ProviderToken, found: Rights) -> None:
    same = ProviderToken.objects.filter(pk=token.pk, secret=token.secret)
    same.update(
        account=found.account[:255],
        rights=[
            {
                "ability": right.ability.value,
                "granted": right.granted,
                "sentence": right.sentence,
            }
            for right in found.rights
            if right.ability in WRITES
        ],
        emails=[email[:MAX_EMAIL] for email in found.emails],
        expires_at=found.expires_at,
        tested_at=timezone.now(),
    )
