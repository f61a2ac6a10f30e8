from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.core.snapshot import ref_text
from indexer.providers.errors import BadPayload
from indexer.providers.git.listing import parse_listing

A, B = b"a" * 40, b"b" * 40


def test_refs_are_sorted_into_tags_branches_and_head() -> None:
    listing = parse_listing(
        b"ref: refs/heads/team/main\tHEAD\n"
        + A + b"\tHEAD\n"
        + A + b"\trefs/heads/team/main\n"
        + B + b"\trefs/pull/1/head\n"
        + B + b"\trefs/tags/m@v1.0.0\n"
        + A + b"\trefs/tags/m@v1.0.0^{}\n"
        + A + b"\trefs/tags/light\n"
    )  # fmt: skip
    assert listing.default_branch == "team/main"
    assert listing.head == A.decode()
    assert listing.branches == {"team/main": A.decode()}
    assert listing.tags == {"m@v1.0.0": B.decode(), "light": A.decode()}
    assert listing.peeled == {"m@v1.0.0": A.decode()}
    assert listing.raw_tags["light"] == b"light"


def test_nothing_listed_is_an_empty_listing() -> None:
    listing = parse_listing(b"")
    assert (listing.tags, listing.branches, listing.head) == ({}, {}, "")


@pytest.mark.parametrize(
    "data",
    [
        b"<html>\n",
        A + b"\trefs/tags/x",
        A + b" refs/tags/x\n",
        A[:39] + b"\trefs/tags/x\n",
        A.upper() + b"\trefs/tags/x\n",
        A + b"\t\n",
        b"\n",
    ],
)
def test_an_answer_that_is_no_list_of_refs_is_refused(data: bytes) -> None:
    with pytest.raises(BadPayload):
        parse_listing(data)


NAMES = st.binary(min_size=1, max_size=40).filter(
    lambda name: not set(name) & set(b"\n\t\\^\0 ~:?*[")
)


@given(st.dictionaries(NAMES, st.sampled_from([A, B])))
def test_every_name_git_allows_comes_back_byte_for_byte(
    refs: dict[bytes, bytes],
) -> None:
    data = b"".join(i + b"\trefs/tags/" + name + b"\n" for name, i in refs.items())
    listing = parse_listing(data)
    assert {
        listing.raw_tags[ref]: i.encode() for ref, i in listing.tags.items()
    } == refs
    assert set(listing.tags) == {ref_text(name) for name in refs}
    assert len(listing.fingerprint) == 64
    turned = parse_listing(b"".join(line + b"\n" for line in data.split(b"\n")[-2::-1]))
    assert turned.fingerprint == listing.fingerprint
