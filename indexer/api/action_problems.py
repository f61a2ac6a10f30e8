"""Why an action was not done, as a problem: which code gives which status."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from django.http import HttpResponse
from django.urls import get_script_prefix
from django.utils import timezone

from indexer.actions import BadWish, Busy, KeyReused, NotAllowed
from indexer.api.problems import ApiProblem, SignInNeeded, problem_response
from indexer.core.plans import Refusal
from indexer.crypto import WrongKey
from indexer.file_actions import CannotPlan
from indexer.models import ActionLog
from indexer.providers import errors
from indexer.wishes import NONSENSE
from indexer.write_ways import NoWay

Status = ActionLog.Status
# The status of a code. What is not here is what its row's status says: as a rule
# refused by the state of the registry.
STATUSES: Mapping[str, int] = {
    **dict.fromkeys(sorted(NONSENSE), 400),
    **dict.fromkeys(("bad-branch", "bad-file", "bad-type", "bad-entry"), 400),
    **dict.fromkeys(("not-allowed", "no-token", "access-denied", "no-identity"), 403),
    **dict.fromkeys(("unknown-artifact", "unknown-version"), 404),
    **dict.fromkeys(("no-branch", "no-entry"), 404),
    **dict.fromkeys(("provider-refused", "idempotency-key-reused"), 422),
    "rate-limited": 429,
    **dict.fromkeys(("internal-error", "wrong-key"), 500),
    **dict.fromkeys(("provider-error", "not-known"), 502),
    **dict.fromkeys(("unavailable", "busy"), 503),
}
REFUSED_AS_A_RULE = 409  # the registry's state forbids it
STATUS_OF = {
    Status.REFUSED: REFUSED_AS_A_RULE,
    Status.FAILED: 503,
    Status.UNKNOWN: 502,
}
TITLES: Mapping[int, str] = {
    400: "The request makes no sense",
    403: "Not allowed",
    404: "Not found",
    409: "The registry’s state forbids it",
    422: "It cannot be done so",
    429: "The provider wants a pause",
    500: "Something went wrong here",
    502: "The provider’s answer is of no use",
    503: "Not possible just now",
}
RETRY_AFTER: Mapping[str, int] = {"busy": 5, "unavailable": 30, "rate-limited": 60}
FAILURES: tuple[tuple[type[errors.ProviderError], str], ...] = (
    (errors.RateLimited, "rate-limited"),
    (errors.Unavailable, "unavailable"),
    (errors.AccessDenied, "access-denied"),
    (errors.Refused, "provider-refused"),
    (errors.ProviderError, "provider-error"),
)
EXPECTED = (
    BadWish,
    Busy,
    CannotPlan,
    KeyReused,
    NoWay,
    NotAllowed,
    WrongKey,
    errors.ProviderError,
)


class PersonNeeded(SignInNeeded):
    """Who asks is not said, and nobody acts for nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.detail = (
            "Actions are somebody’s: send an API token as “Authorization: Bearer "
            "muster_…” (for acting, one of scope “Read and act”). Make one at "
            "/account/tokens."
        )


def row_problem(row: ActionLog) -> HttpResponse:
    """What became of an action that was not done."""
    status = STATUSES.get(row.code) or STATUS_OF[Status(row.status)]
    return _response(row.code, row.sentence, status=status, action=address_of(row))


def refusal_problem(refusal: Refusal) -> HttpResponse:
    """What a dry run tells: the action would be refused."""
    return _response(refusal.code, refusal.sentence)


def error_problem(error: Exception) -> HttpResponse:
    """One of EXPECTED, of which no row tells."""
    match error:
        case BadWish():
            return refusal_problem(error.refusal)
        case NotAllowed():
            return _response("not-allowed", str(error))
        case KeyReused():
            return _response("idempotency-key-reused", str(error))
        case Busy():
            return _response("busy", str(error))
        case WrongKey():
            return _response("wrong-key", str(error))
        case NoWay() | CannotPlan():
            return _response(error.code, error.sentence)
        case errors.ProviderError():
            code = next(code for kind, code in FAILURES if isinstance(error, kind))
            response = _response(code, error.sentence)
            if isinstance(error, errors.RateLimited):
                seconds = (error.retry_at - timezone.now()).total_seconds()
                response["Retry-After"] = str(max(1, round(seconds)))
            return response
    raise error


def address_of(row: ActionLog) -> str:
    """Where the action is found again."""
    return f"{get_script_prefix()}api/v1/actions/{row.uuid}"


def _response(
    code: str, sentence: str, *, status: int = 0, action: str = ""
) -> HttpResponse:
    status = status or STATUSES.get(code, REFUSED_AS_A_RULE)
    title = TITLES.get(status) or HTTPStatus(status).phrase
    more = {"action": action} if action else {}
    response = problem_response(
        ApiProblem(status, code, title, sentence, code=code, **more)
    )
    if code in RETRY_AFTER:
        response["Retry-After"] = str(RETRY_AFTER[code])
    return response
