"""What a session of an API takes for an answer, and its errors."""

from __future__ import annotations

import gzip
import json

import pytest

from indexer.providers.errors import (
    AccessDenied,
    BadPayload,
    NotFound,
    ProviderError,
    Refused,
    Unavailable,
)
from indexer.providers.http import RAW, ProviderSession
from tests.providers.sessions import BROKEN, CANARY, GZIP, WITH_TOKEN, Noted, refusal
from tests.providers.wire import (
    Wire,
    reply,
)


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_F_P1_a_broken_answer_is_unavailable_and_asked_for_once(
    how: str, method: str, session: ProviderSession, wired: Wire
) -> None:
    wired.say(BROKEN[how])
    refusal(Unavailable, session, f"{wired.url}/x", headers=WITH_TOKEN, method=method)
    assert len(wired.asked) == 1


PAGE = "<!DOCTYPE html><title>Sign in</title>"
NO_DATA = {
    "204": reply(b"", 204),
    "205": reply(b"", 205),
    "a part": reply(b"[]", 206, {"Content-Range": "bytes 0-1/9"}),
    "an empty body": reply(b""),
    "white space": reply(b" \n "),
    "null": reply(b"null"),
    "a page": reply(PAGE, kind="text/html"),
    "a page that is said to be JSON": reply(PAGE),
    "a text": reply(b"[]", kind="text/plain"),
    "no content type": reply(b"[]", kind=""),
    "JSON that is cut": reply(b'[{"id": 1}, {"id"'),
    "gzip that is cut": reply(gzip.compress(b'{"a": 1}' * 9)[:-9], headers=GZIP),
    "JSON and more": reply(b"[] []"),
    "not UTF-8": reply(b'"\xff"'),
    "UTF-16": reply("[]".encode("utf-16")),
    "NaN": reply(b"[NaN]"),
    "Infinity": reply(b"[-Infinity]"),
    "a number of 5,000 digits": reply("[" + "9" * 5000 + "]"),
    "depth": reply("[" * 100_000 + "]" * 100_000),
    "depth of objects": reply('{"a":' * 100_000 + "1" + "}" * 100_000),
}


@pytest.mark.parametrize("how", NO_DATA)
def test_F_P2_no_half_answer_counts_as_a_whole_one(
    how: str, session: ProviderSession, wired: Wire
) -> None:
    wired.say(NO_DATA[how])
    for method, url in (
        ("GET", f"{wired.url}/x"),
        ("POST", f"{wired.root}/api/graphql"),
    ):
        error = refusal(BadPayload, session, url, method=method)
        assert error.status in {200, 204, 205, 206}
    if "page" in how:
        assert "web page instead of data" in error.sentence


def test_a_write_may_be_answered_with_nothing_but_not_with_a_page(
    session: ProviderSession, wired: Wire
) -> None:
    wired.say(reply(b"", 204))
    assert session.delete(f"{wired.url}/hooks/1").status_code == 204
    wired.say(reply(b'{"id": 1}', 201))
    assert session.post(f"{wired.url}/hooks").json() == {"id": 1}
    wired.say(reply(PAGE, 200, kind="text/html"))
    refusal(BadPayload, session, f"{wired.url}/hooks", method="POST", match="web page")
    wired.say(reply(b'{"id": 1', 201))
    refusal(BadPayload, session, f"{wired.url}/hooks", method="POST", match="cut short")


@pytest.mark.parametrize("accept", [RAW, "application/vnd.github.raw+json"])
def test_bytes_are_given_as_they_are_to_who_asks_for_them(
    accept: str, session: ProviderSession, wired: Wire
) -> None:
    content = bytes(range(256))
    headers = {"Accept": accept}
    for kind in ("text/plain; charset=utf-16", "application/octet-stream"):
        for body in (content, b"", b"null"):
            wired.say(reply(body, kind=kind))
            answer = session.get(f"{wired.url}/raw", headers=headers)
            assert answer.content == body
    for other in (reply(PAGE, kind="text/html"), reply(b"", 204)):
        wired.say(other)
        refusal(BadPayload, session, f"{wired.url}/raw", headers=headers)


def test_a_304_is_given_to_who_asked_for_it(
    session: ProviderSession, wired: Wire, budget: Noted
) -> None:
    wired.say(reply(b"", 304, kind=""))
    answer = session.get(f"{wired.url}/x", headers={"If-None-Match": '"1"'})
    assert answer.status_code == 304
    assert budget.told[-1][1].cost == 0


@pytest.mark.parametrize(
    ("status", "reading", "writing"),
    [
        (400, Refused, Refused),
        (401, AccessDenied, AccessDenied),
        (403, AccessDenied, Refused),
        (404, NotFound, NotFound),
        (405, Refused, Refused),
        (408, Unavailable, Unavailable),
        (409, Refused, Refused),
        (410, NotFound, NotFound),
        (422, Refused, Refused),
        (451, AccessDenied, Refused),
        (500, Unavailable, Unavailable),
        (502, Unavailable, Unavailable),
        (503, Unavailable, Unavailable),
        (504, Unavailable, Unavailable),
        (599, Unavailable, Unavailable),
        (101, BadPayload, BadPayload),
        (999, Unavailable, Unavailable),
    ],
)
@pytest.mark.parametrize(
    "answer",
    [
        ('{"message": "It is so"}', "application/json"),
        (PAGE, "text/html"),
        ("", ""),
        ("[" * 100_000, "application/json"),
    ],
    ids=["JSON", "a page", "nothing", "nonsense"],
)
def test_F_P1_every_status_is_one_error_and_one_request(
    status: int,
    reading: type[ProviderError],
    writing: type[ProviderError],
    answer: tuple[str, str],
    session: ProviderSession,
    wired: Wire,
    budget: Noted,
) -> None:
    wired.say(reply(answer[0], status, kind=answer[1]))
    for kind, method, path in (
        (reading, "GET", "x"),
        (reading, "POST", "graphql"),
        (writing, "POST", "x"),
    ):
        url = f"{wired.url}/{path}"
        error = refusal(kind, session, url, method=method, match="GitHub")
        assert error.status == status
        if kind is Refused and "message" in answer[0]:
            assert "“It is so”" in error.sentence
    assert len(wired.asked) == budget.spent == 3


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"message": "Reference already exists"}, "Reference already exists"),
        (
            {"message": "Validation Failed", "errors": [{"message": "is too long"}]},
            "Validation Failed; is too long",
        ),
        ({"message": "No", "errors": [{"code": "invalid"}, "x"]}, "No; invalid; x"),
        ({"message": {"name": ["is taken", "is odd"]}}, "name is taken; name is odd"),
        ({"message": ["a", 1, "b"]}, "a; b"),
        ({"error": "insufficient_scope"}, "insufficient_scope"),
        ({"message": "line\r\nline\u202e\x07\ttab"}, "line line tab"),
        ({"message": f"token {CANARY} and {CANARY[:9]}"}, "token … and …"),
        ({"message": "ghp_" + "a" * 36}, "…"),
        ({"message": "glpat-abc_d-e is used"}, "… is used"),
        ({"message": "x" * 500}, "x" * 199 + "…"),
        ({"message": f"{'x' * 190}{CANARY}"}, "x" * 190 + "…"),
    ],
)
def test_K3_the_providers_reason_is_quoted_clean(
    body: object, reason: str, session: ProviderSession, wired: Wire
) -> None:
    wired.say(reply(json.dumps(body), 422))
    error = refusal(
        Refused, session, f"{wired.url}/x", headers=WITH_TOKEN, method="POST"
    )
    assert error.sentence.endswith(f"GitHub says: “{reason}”.")


@pytest.mark.parametrize(
    "body", [[], {}, {"message": None}, {"errors": {}}, {"message": {"a": {"b": 1}}}, 1]
)
def test_a_reason_of_an_odd_shape_is_left_out(
    body: object, session: ProviderSession, wired: Wire
) -> None:
    wired.say(reply(json.dumps(body), 422))
    error = refusal(Refused, session, f"{wired.url}/x", method="POST")
    assert "says" not in error.sentence
