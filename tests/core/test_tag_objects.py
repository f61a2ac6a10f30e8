"""Tag objects as we write them, against `git tag -a` and against our own parser."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.core.git_objects import (
    TagOrder,
    format_tag_object,
    has_signature,
    parse_tag_object,
    tag_object_id,
    tidied,
)
from indexer.core.snapshot import Instant, ObjectType, Person
from tests.core.test_plans import a_repository

ADA = Person("Ada Lovelace", "ada@example.org")
ORDER = TagOrder(
    "churn#prod#3", "b" * 40, "Because it is better", ADA, Instant(1_750_000_000, 120)
)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
ORDERS = st.builds(
    TagOrder,
    name=st.just("churn@v1.0.0"),
    commit_id=st.just("b" * 40),
    message=TEXT.filter(lambda words: not has_signature(words)),
    tagger=st.builds(Person, TEXT, TEXT),
    at=st.builds(Instant, st.integers(0, 4_000_000_000), st.integers(-1439, 1439)),
)


@given(ORDERS)
def test_what_is_written_is_what_is_read(order: TagOrder) -> None:
    body = format_tag_object(order)
    tidy = tidied(order)
    assert tidied(tidy) == tidy
    assert format_tag_object(tidy) == body
    tag = parse_tag_object(tag_object_id(body), body)
    assert (tag.name, tag.target_id, tag.target_type) == (
        order.name, order.commit_id, ObjectType.COMMIT,
    )  # fmt: skip
    assert tag.tagger == Person(tidy.tagger.name.strip(), tidy.tagger.email.strip())
    assert tag.tagged is not None
    assert (tag.tagged, tag.tagged.offset) == (order.at, order.at.offset)
    assert (tag.message, tag.signature) == (tidy.message.strip(), b"")


@pytest.mark.parametrize(
    "order",
    [
        ORDER,
        replace(ORDER, message="\n\n Two words \t\n\n\n\n# and a line\nmore\n\n\n"),
        replace(ORDER, message="Größer — лучше 🎉\r\n\r\nso\r\n"),
        replace(ORDER, tagger=Person(' "Ada" <x>, ', " <ada@example.org>; ")),
        replace(ORDER, tagger=Person("Zoë O'Hara", "zoë@example.org")),
        replace(ORDER, at=Instant(1, -210)),
        replace(ORDER, name="sub=detect@v1.0.0-rc.1+build.7!#12"),
    ],
)
def test_git_makes_the_same_object(tmp_path: Path, order: TagOrder) -> None:
    path = tmp_path / "repo"
    order = replace(order, commit_id=a_repository(path)[0])
    zone = format_tag_object(order).split(b"\n\n")[0].split(b" ")[-1].decode()
    environment = os.environ | {
        "GIT_COMMITTER_NAME": order.tagger.name,
        "GIT_COMMITTER_EMAIL": order.tagger.email,
        "GIT_COMMITTER_DATE": f"@{order.at.seconds} {zone}",
    }

    def git(*arguments: str) -> bytes:
        return subprocess.run(
            ["git", "-C", str(path), *arguments],
            check=True, capture_output=True, env=environment,
        ).stdout  # fmt: skip

    git("tag", "-a", "--cleanup=whitespace", "-m", order.message, "--", order.name,
        order.commit_id)  # fmt: skip
    body = format_tag_object(order)
    assert git("cat-file", "tag", order.name) == body
    assert git("rev-parse", f"refs/tags/{order.name}").decode().strip() == (
        tag_object_id(body)
    )


def test_a_repository_of_sha_256_has_longer_ids() -> None:
    body = format_tag_object(replace(ORDER, commit_id="b" * 64))
    assert len(tag_object_id(body, 64)) == 64
