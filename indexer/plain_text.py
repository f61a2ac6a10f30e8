"""The one place where text from outside is held against what databases can store.

PostgreSQL takes no NUL and neither takes half of a surrogate pair; one such character
in any address, form, header, cookie or JSON would be an error 500 somewhere behind. No
name and no sentence holds one, so such a request is refused, and views need not think
of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.core.exceptions import BadRequest, RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase

from indexer.limits import holds, is_odd_json

API, HOOKS = "/api/", "/hooks/"
FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


class OddText(BadRequest):
    """A request holds a character that is none; the text says where."""


class PlainText:
    """The middleware: in front of all that asks the database."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not holds(request.path_info):
            return _refused(request, Http404("Nothing is called so."))
        for name in (*_odd(request.GET.lists()), *_odd(_headers(request))):
            return _refused(request, _odd_text(name))
        return self.get_response(request)

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., HttpResponseBase],
        arguments: Any,
        options: Any,
    ) -> HttpResponseBase | None:
        """Look at what was sent, where the view takes it as a form or as JSON. (A
        webhook's signature comes first: its view looks by itself.)"""
        is_signed = request.path_info.startswith(HOOKS)
        try:
            if request.path_info.startswith(API):
                if is_odd_json(request.body):
                    return _refused(request, _odd_text("The body"))
            elif request.content_type in FORMS and not is_signed:
                for name in _odd(request.POST.lists()):
                    return _refused(request, _odd_text(name))
        except (RequestDataTooBig, UnreadablePostError):
            return None  # the view meets it too, and answers
        return None


def _headers(request: HttpRequest) -> Iterable[tuple[str, list[str]]]:
    for name, value in request.headers.items():
        yield name, [value]
    for name, value in request.COOKIES.items():
        yield "A cookie", [name, value]  # quoted ones may hold anything


def _odd(fields: Iterable[tuple[str, list[Any]]]) -> Iterable[str]:
    """The names of fields with odd text in them."""
    for name, values in fields:
        if not all(map(holds, (name, *map(str, values)))):
            yield name if holds(name) else "The name of a field"


def _odd_text(name: str) -> OddText:
    return OddText(
        f"{name[:60]} holds a character that is none (NUL, or half of a pair). Leave "
        "it out, and send it again."
    )


def _refused(request: HttpRequest, error: OddText | Http404) -> HttpResponse:
    if not request.path_info.startswith(API):
        raise error
    # Only here: it takes long to import.
    from indexer.api.problems import BadParameter, NotThere, problem_response

    kind = BadParameter if isinstance(error, OddText) else NotThere
    return problem_response(kind(str(error)))
