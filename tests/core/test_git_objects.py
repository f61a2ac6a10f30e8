from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.core.git_objects import parse_commit_object, parse_tag_object
from indexer.core.snapshot import Instant, ObjectType, Person

ID = "a" * 40
HEAD = f"object {'b' * 40}\ntype commit\ntag m@v1.0.0\n".encode()
PGP = b"-----BEGIN PGP SIGNATURE-----\n\niQIzBAAB\n=abcd\n-----END PGP SIGNATURE-----\n"
SSH = b"-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n"
X509 = b"-----BEGIN SIGNED MESSAGE-----\nMIIEfg==\n-----END SIGNED MESSAGE-----\n"

# tagger line -> person, moment, whether it has flaws
TAGGERS = {
    b"Ada <a@x> 1600000000 +0200": (Person("Ada", "a@x"), (1600000000, 120), False),
    b"Ada <a@x> 1600000000 -0330": (Person("Ada", "a@x"), (1600000000, -210), False),
    b"Ada <a@x> 1600000000 -0000": (Person("Ada", "a@x"), (1600000000, 0), False),
    b"Ada <a@x> -86400 +0000": (Person("Ada", "a@x"), (-86400, 0), False),
    b"A <b> C <a@x> 1 +0000": (Person("A <b> C", "a@x"), (1, 0), False),
    b"Ada <a@x>": (Person("Ada", "a@x"), None, True),
    b"Ada": (Person("Ada", ""), None, True),
    b"": (Person("", ""), None, True),
    b"<x@y> 1600000000 +0000": (Person("", "x@y"), (1600000000, 0), True),
    b"Bob <> 1600000000 +0000": (Person("Bob", ""), (1600000000, 0), True),
    b"Bob 1600000000 +0000": (Person("Bob 1600000000 +0000", ""), None, True),
    b"Ada <a@x> 1600000000": (Person("Ada", "a@x"), (1600000000, 0), True),
    b"Ada <a@x> 1600000000 +9999": (Person("Ada", "a@x"), (1600000000, 0), True),
    b"Ada <a@x> 1600000000 +2400": (Person("Ada", "a@x"), (1600000000, 0), True),
    b"Ada <a@x> 1600000000 UTC": (Person("Ada", "a@x"), (1600000000, 0), True),
    b"Ada <a@x> 1600000000 +": (Person("Ada", "a@x"), (1600000000, 0), True),
    b"Ada <a@x> 1600000000.5 +0000": (Person("Ada", "a@x"), None, True),
    b"Ada <a@x> now +0000": (Person("Ada", "a@x"), None, True),
    b"Ada <a@x> 253402300800 +0000": (Person("Ada", "a@x"), None, True),
    b"Ada <a@x> 9223372036854775808 +0000": (Person("Ada", "a@x"), None, True),
    b"Ada <a@x> -99999999999 +0000": (Person("Ada", "a@x"), None, True),
    b"Ada <a@x> " + b"9" * 5000 + b" +0000": (Person("Ada", "a@x"), None, True),
    "Ada <a@x> ١٢ +0000".encode(): (Person("Ada", "a@x"), None, True),
    b"Jos\xe9 <j@x> 1 +0000": (Person("Jos\ufffd", "j@x"), (1, 0), True),
    b"N\0UL <n@x> 1 +0000": (Person("N\ufffdUL", "n@x"), (1, 0), True),
}


@pytest.mark.parametrize(("line", "expected"), TAGGERS.items())
def test_T1_T3_a_tagger_is_read_as_far_as_it_can_be(
    line: bytes, expected: tuple[Person, tuple[int, int] | None, bool]
) -> None:
    tag = parse_tag_object(ID, HEAD + b"tagger " + line + b"\n\nSay so\n")
    person, when, flawed = expected
    assert tag.tagger == person
    assert tag.tagged == (None if when is None else Instant(*when))
    assert bool(tag.flaws) is flawed
    assert (tag.name, tag.target_id) == ("m@v1.0.0", "b" * 40)
    assert tag.target_type is ObjectType.COMMIT
    assert tag.message == "Say so"


def test_T1_without_a_tagger_person_and_date_are_unknown() -> None:
    tag = parse_tag_object(ID, HEAD + b"\nSay so\n")
    assert (tag.tagger, tag.tagged) == (None, None)
    assert "no tagger" in tag.flaws[0]


def test_an_encoding_the_object_names_is_used_for_what_is_not_utf_8() -> None:
    body = HEAD + b"tagger Jos\xe9 <j@x> 1 +0000\nencoding ISO-8859-1\n\n\xe9t\xe9\n"
    tag = parse_tag_object(ID, body)
    assert (tag.tagger, tag.message) == (Person("José", "j@x"), "été")
    assert tag.flaws == ()
    assert parse_tag_object(ID, body.replace(b"ISO-8859-1", b"zip")).flaws != ()


@pytest.mark.parametrize("signature", [PGP, SSH, X509])
def test_T6_a_signature_is_split_off_the_message(signature: bytes) -> None:
    tagger = b"tagger Ada <a@x> 1 +0000\n\n"
    tag = parse_tag_object(ID, HEAD + tagger + b"\n  Say so\n\n" + signature)
    assert tag.message == "Say so"
    assert tag.signature == signature
    assert parse_tag_object(ID, HEAD + tagger + b"About " + signature).signature == b""


def test_F_P6_ids_of_64_digits_are_ids() -> None:
    tag = parse_tag_object("c" * 64, HEAD.replace(b"b" * 40, b"d" * 64) + b"\n")
    assert tag.target_id == "d" * 64


@pytest.mark.parametrize("body", [b"", b"\n", b"object x\ntype y\n\n", b"tag m\n\nx"])
def test_a_broken_tag_object_has_flaws_and_no_target(body: bytes) -> None:
    tag = parse_tag_object(ID, body)
    assert tag.target_id == ""
    assert tag.target_type is ObjectType.MISSING
    assert tag.flaws


@given(st.binary() | st.binary().map(lambda tail: HEAD + b"tagger " + tail))
def test_P15_any_bytes_parse_to_clean_text(body: bytes) -> None:
    tag = parse_tag_object(ID, body)
    tree, parents, commit = parse_commit_object(ID, body)
    person = tag.tagger or Person("", "")
    for words in (
        *(tag.name, tag.message, tag.target_id, person.name, person.email),
        *(*tag.flaws, tree, *parents, commit.message, commit.author.name),
        *(commit.committer.email,),
    ):
        words.encode()
        assert "\0" not in words


def test_a_commit_is_read_and_its_signature_skipped() -> None:
    body = (
        b"tree " + b"d" * 40 + b"\nparent " + b"e" * 40 + b"\nparent " + b"f" * 40
    ) + (
        b"\nauthor Ada <a@x> 1 +0100\ncommitter Bob <b@x> 2 -0100\n"
        b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n author Eve <e@x> 3 +0000\n"
        b" -----END PGP SIGNATURE-----\n\n\nTrain\n\nlong\n"
    )
    tree, parents, commit = parse_commit_object(ID, body)
    assert (tree, parents) == ("d" * 40, ("e" * 40, "f" * 40))
    assert (commit.author, commit.authored) == (Person("Ada", "a@x"), Instant(1, 60))
    assert (commit.committer, commit.committed) == (
        Person("Bob", "b@x"),
        Instant(2, -60),
    )
    assert commit.message == "Train\n\nlong\n"
