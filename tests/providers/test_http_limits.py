"""What a session of an API makes of the limits it is told of."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from indexer.budgets import Told
from indexer.providers.errors import (
    RateLimited,
    Unavailable,
)
from indexer.providers.http import ProviderSession
from tests.providers.sessions import Noted, refusal
from tests.providers.wire import (
    Reply,
    Wire,
    http_date,
    reply,
)


def at(**ahead: float) -> datetime:
    return datetime.now(UTC) + timedelta(**ahead)


def stamp(moment: datetime) -> str:
    return str(int(moment.timestamp()))


def limited(headers: dict[str, str], status: int = 403, message: str = "No.") -> Reply:
    return reply(json.dumps({"message": message}), status, headers)


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (lambda: {"Retry-After": "90"}, 90),
        (lambda: {"Retry-After": http_date(at(seconds=90))}, 90),
        (lambda: {"Retry-After": "31536000"}, 3600),
        (lambda: {"Retry-After": http_date(at(days=365))}, 3600),
        (lambda: {"Retry-After": "9" * 40, "x-ratelimit-remaining": "0"}, None),
        (
            lambda: {
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": stamp(at(seconds=900)),
            },
            900,
        ),
        (
            lambda: {
                "RateLimit-Remaining": "0",
                "RateLimit-Reset": stamp(at(seconds=45)),
            },
            45,
        ),
        (lambda: {"RateLimit-Remaining": "0", "RateLimit-Reset": "45"}, 45),
        (
            lambda: {
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": stamp(at(days=30)),
            },
            3600,
        ),
        (
            lambda: {
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": stamp(at(seconds=-500)),
            },
            1,
        ),
        # A clock that is wrong by five hours.
        (
            lambda: {
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": stamp(at(hours=5, seconds=600)),
                "Date": http_date(at(hours=5)),
            },
            600,
        ),
        (
            lambda: {
                "Retry-After": http_date(at(hours=-5, seconds=600)),
                "Date": http_date(at(hours=-5)),
            },
            600,
        ),
    ],
)
def test_F_P1_who_is_told_to_wait_is_told_until_when(
    status: int,
    headers: Callable[[], dict[str, str]],
    seconds: int | None,
    session: ProviderSession,
    wired: Wire,
    budget: Noted,
) -> None:
    wired.say(limited(headers(), status))
    error = refusal(RateLimited, session, f"{wired.url}/x")
    assert isinstance(error, RateLimited)
    assert error.status == status
    assert error.sentence.startswith("Waiting for GitHub until ")
    assert len(wired.asked) == 1
    if seconds is None:
        assert budget.backed_off == 1
    else:
        ahead = (error.retry_at - timezone.now()).total_seconds()
        assert ahead == pytest.approx(seconds, abs=5)
        kind = "all" if "Retry-After" in headers() else "core"
        assert budget.blocked == {kind: error.retry_at}


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (429, {}, "No."),
        (429, {"Retry-After": "-5"}, "No."),
        (429, {"Retry-After": "nan"}, "No."),
        (429, {"Retry-After": "0"}, "No."),
        (429, {"Retry-After": "tomorrow"}, "No."),
        (403, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, "No."),
        (429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "-1"}, "No."),
        (429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 18}, "No."),
        (403, {}, "You have exceeded a secondary rate limit."),
        (403, {}, "You have triggered an abuse detection mechanism."),
    ],
)
def test_F_P1_who_is_not_told_until_when_backs_off(
    status: int,
    headers: dict[str, str],
    message: str,
    session: ProviderSession,
    wired: Wire,
    budget: Noted,
) -> None:
    wired.say(limited(headers, status, message))
    error = refusal(RateLimited, session, f"{wired.url}/x")
    assert isinstance(error, RateLimited)
    assert error.retry_at > timezone.now() + timedelta(seconds=50)
    assert budget.backed_off == 1
    assert budget.blocked == {}


def test_the_budget_is_told_what_every_answer_says(
    session: ProviderSession, wired: Wire, budget: Noted
) -> None:
    reset = at(seconds=900)
    headers = {
        "X-RateLimit-Limit": "5000",
        "X-RateLimit-Remaining": "4000",
        "X-RateLimit-Reset": stamp(reset),
    }
    wired.say(
        reply(headers={**headers, "X-RateLimit-Resource": "search"}),
        reply(headers=headers),
        reply(b"", 500, headers),
        reply(headers={"X-RateLimit-Limit": "9" * 18, "X-RateLimit-Remaining": "-1"}),
        # No name of a provider's becomes one of ours, or a row for each answer.
        reply(headers={"X-RateLimit-Resource": "all"}),
    )
    session.get(f"{wired.url}/search/x")
    session.post(f"{wired.root}/api/graphql", json={})
    refusal(Unavailable, session, f"{wired.url}/x")
    session.get(f"{wired.url}/x")
    session.get(f"{wired.url}/x")
    told = Told(5000, 4000, reset.replace(microsecond=0))
    assert budget.told == [
        ("search", told),
        ("graphql", told),
        ("core", told),
        ("core", Told()),
        ("other", Told()),
    ]


def test_who_has_no_budget_left_sends_nothing(
    session: ProviderSession,
    wired: Wire,
    budget: Noted,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(resource: str, cost: int = 1) -> None:
        raise RateLimited("Waiting for GitHub until 14:05 UTC.", at(hours=1))

    monkeypatch.setattr(budget, "admit", refuse)
    refusal(RateLimited, session, f"{wired.url}/x")
    assert wired.connections == 0
