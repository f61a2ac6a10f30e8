"""What unreadable parts of Git's objects are told of, word by word, and what is read
all the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from indexer.core.git_objects import (
    TagOrder,
    format_tag_object,
    has_signature,
    parse_commit_object,
    parse_tag_object,
    tag_object_id,
    tidied,
)
from indexer.core.snapshot import (
    FIRST_SECOND,
    LAST_SECOND,
    Instant,
    ObjectType,
    Person,
    TagObject,
    ref_text,
    text,
)

ID = "a" * 40
TARGET = b"object " + b"b" * 40 + b"\n"
TYPE = b"type commit\n"
NAME = b"tag m@v1.0.0\n"
ADA = b"tagger Ada <a@x> 1600000000 +0200\n"


def read(*lines: bytes, message: bytes = b"Say so\n") -> TagObject:
    return parse_tag_object(ID, b"".join(lines) + b"\n" + message)


def signed(line: bytes) -> TagObject:
    return read(TARGET, TYPE, NAME, b"tagger " + line + b"\n")


NO_NAME = "The tag object has no name inside."
NO_TARGET = "The tag object does not say which object it tags."
NO_TYPE = "The tag object does not say what kind of object it tags."
NO_TAGGER = "The tag object has no tagger, so person and date are unknown."
NOT_UTF_8 = "is not UTF-8; unreadable bytes show as \ufffd."
FLAWS: dict[str, tuple[Callable[[], TagObject], tuple[str, ...]]] = {
    "none": (lambda: read(TARGET, TYPE, NAME, ADA), ()),
    "no name": (lambda: read(TARGET, TYPE, ADA), (NO_NAME,)),
    "no target": (lambda: read(TYPE, NAME, ADA), (NO_TARGET,)),
    "a target that is no id": (
        lambda: read(b"object " + b"g" * 40 + b"\n", TYPE, NAME, ADA),
        (NO_TARGET,),
    ),
    "a target of 41 digits": (
        lambda: read(b"object " + b"b" * 41 + b"\n", TYPE, NAME, ADA),
        (NO_TARGET,),
    ),
    "no type": (lambda: read(TARGET, NAME, ADA), (NO_TYPE,)),
    "an unknown type": (lambda: read(TARGET, b"type model\n", NAME, ADA), (NO_TYPE,)),
    "no tagger": (lambda: read(TARGET, TYPE, NAME), (NO_TAGGER,)),
    "nothing": (
        lambda: parse_tag_object(ID, b""),
        (NO_NAME, NO_TARGET, NO_TYPE, NO_TAGGER),
    ),
    "a message that is not UTF-8": (
        lambda: read(TARGET, TYPE, NAME, ADA, message=b"\xe9\n"),
        (f"The message {NOT_UTF_8}",),
    ),
    "a message with NUL": (
        lambda: read(TARGET, TYPE, NAME, ADA, message=b"a\0b\n"),
        (f"The message {NOT_UTF_8}",),
    ),
    "neither e-mail nor date": (
        lambda: signed(b"Ada"),
        ("The tagger has no e-mail and no date.",),
    ),
    "a name that is not UTF-8": (
        lambda: signed(b"Jos\xe9 <a@x> 1 +0000"),
        (f"The tagger {NOT_UTF_8}",),
    ),
    "an e-mail that is not UTF-8": (
        lambda: signed(b"Ada <\xe9@x> 1 +0000"),
        (f"The tagger {NOT_UTF_8}",),
    ),
    "no name of the tagger": (
        lambda: signed(b" <a@x> 1 +0000"),
        ("The tagger has no name.",),
    ),
    "no e-mail": (lambda: signed(b"Ada < > 1 +0000"), ("The tagger has no e-mail.",)),
    "no date": (lambda: signed(b"Ada <a@x> "), ("The tagger has no date.",)),
    "a date that is none": (
        lambda: signed(b"Ada <a@x> " + b"x" * 41 + b" +0000"),
        (f"The date of the tagger cannot be read: {'x' * 40}.",),
    ),
    "a date outside": (
        lambda: signed(b"Ada <a@x> %d +0000" % (LAST_SECOND + 1)),
        (
            "The date of the tagger lies outside the years 2 to 9998:"
            f" {LAST_SECOND + 1}.",
        ),
    ),
    "a date before": (
        lambda: signed(b"Ada <a@x> %d +0000" % (FIRST_SECOND - 1)),
        (
            "The date of the tagger lies outside the years 2 to 9998:"
            f" {FIRST_SECOND - 1}.",
        ),
    ),
    "no zone": (
        lambda: signed(b"Ada <a@x> 1"),
        ("The time zone of the tagger cannot be read; UTC is shown.",),
    ),
    "more than a zone": (
        lambda: signed(b"Ada <a@x> 1 +0000 x"),
        ("The time zone of the tagger cannot be read; UTC is shown.",),
    ),
    "a zone of a day": (
        lambda: signed(b"Ada <a@x> 1 +2400"),
        ("The tagger's time zone +2400 is none; UTC is shown.",),
    ),
    "several": (
        lambda: signed(b"<> x"),
        (
            *("The tagger has no name.", "The tagger has no e-mail."),
            "The date of the tagger cannot be read: x.",
        ),
    ),
}


@pytest.mark.parametrize("case", FLAWS.values(), ids=FLAWS)
def test_a_flaw_says_what_could_not_be_read(
    case: tuple[Callable[[], TagObject], tuple[str, ...]],
) -> None:
    make, flaws = case
    tag = make()
    assert tag.flaws == flaws
    assert tag.object_id == ID
    known = NO_TARGET not in flaws
    assert tag.target_id == ("b" * 40 if known else "")
    assert (tag.target_type is ObjectType.MISSING) is (NO_TYPE in flaws)


@pytest.mark.parametrize(
    ("line", "seconds", "offset"),
    [
        (b"%d +0000" % FIRST_SECOND, FIRST_SECOND, 0),
        (b"%d -0001" % LAST_SECOND, LAST_SECOND, -1),
        (b"-5 +2359", -5, 1439),
        (b"5 -2359", 5, -1439),
        (b"5 +0099", 5, 99),
        (b"5 +0545", 5, 345),
        (b"5 +000000545", 5, 345),
        (b"5 +2400", 5, 0),
        (b"5 +0000000545", 5, 0),
    ],
)
def test_moments_and_zones_at_the_edge_are_read(
    line: bytes, seconds: int, offset: int
) -> None:
    at = signed(b"Ada <a@x> " + line).tagged
    assert at is not None
    assert (at.seconds, at.offset) == (seconds, offset)


@pytest.mark.parametrize("kind", list(ObjectType))
def test_the_kind_of_the_target_is_what_the_object_says(kind: ObjectType) -> None:
    assert read(TARGET, f"type {kind}\n".encode(), NAME, ADA).target_type is kind


def test_ids_are_written_small() -> None:
    tag = read(b"object " + b"B" * 40 + b"\n", TYPE, NAME, ADA)
    assert (tag.target_id, tag.flaws) == ("b" * 40, ())


def test_a_header_counts_where_it_stands_first_and_its_lines_go_on() -> None:
    tag = read(TARGET, TYPE, NAME, b"gpgsig x\n tag evil\n", b"tag later\n", ADA)
    assert tag.name == "m@v1.0.0"
    assert read(TARGET, b"tag\n", TYPE, NAME, ADA).name == "m@v1.0.0"
    assert read(TARGET, TYPE, b"tag a b\n", ADA).name == "a b"


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        (b"ISO-8859-1", "é"),
        (b"iso8859-15", "é"),
        (b"latin1", "é"),
        (b"Windows-1252", "é"),
        (b"cp1251", "й"),
        (b"KOI8-R", "И"),
        (b"utf-7", "\ufffd"),
        (b"zip", "\ufffd"),
        (b"latin-1 ", "\ufffd"),
        (b"iso-8859-99", "\ufffd"),
        (b"shift-jis", "\ufffd"),
    ],
)
def test_the_encoding_that_an_object_names_is_one_of_those_git_writes(
    encoding: bytes, words: str
) -> None:
    tag = read(
        TARGET, TYPE, NAME, ADA, b"encoding " + encoding + b"\n", message=b"\xe9\n"
    )
    assert tag.message == words
    assert bool(tag.flaws) is (words == "\ufffd")


def test_an_encoding_is_for_names_e_mails_and_commits_too() -> None:
    line = b"Jos\xe9 <\xe9@x> 1 +0000\nencoding latin1"
    tag = signed(line)
    assert (tag.tagger, tag.flaws) == (Person("José", "é@x"), ())
    assert signed(b"Jos\xe9\nencoding latin1").tagger == Person("José", "")
    _, _, commit = parse_commit_object(
        ID,
        b"author Jos\xe9 <a@x> 1 +0000\ncommitter \xe9 <b@x> 2 +0000\n"
        b"encoding latin1\n\n\xe9t\xe9\0\n",
    )
    assert (commit.author.name, commit.committer.name) == ("José", "é")
    assert commit.message == "été\ufffd\n"


def test_a_message_is_split_at_its_last_signature() -> None:
    opening = b"-----BEGIN PGP SIGNATURE-----\n"
    message = b"About\n" + opening + b"x\n" + opening + b"y\n"
    tag = read(TARGET, TYPE, NAME, ADA, message=message)
    assert tag.signature == opening + b"y\n"
    assert tag.message == f"About\n{opening.decode()}x"
    assert read(TARGET, TYPE, NAME, ADA).signature == b""


@pytest.mark.parametrize(
    "opening",
    [
        "-----BEGIN PGP SIGNATURE-----",
        "-----BEGIN PGP MESSAGE-----",
        "-----BEGIN SSH SIGNATURE-----",
        "-----BEGIN SIGNED MESSAGE-----",
    ],
)
def test_a_message_that_looks_signed_is_known(opening: str) -> None:
    assert has_signature(opening)
    assert has_signature(f"So\n{opening} more\nx")
    assert not has_signature(f"So {opening}")
    assert not has_signature("\ud800 so")  # what is no Unicode is no signature


def test_a_commit_names_its_tree_and_parents_and_who_made_it() -> None:
    body = b"tree %s\nauthor Ada <a@x> 1 +0100\n\nTrain\n" % (b"d" * 40)
    tree, parents, commit = parse_commit_object(ID, body)
    assert (tree, parents, commit.id) == ("d" * 40, (), ID)
    assert (commit.author, commit.committer) == (
        Person("Ada", "a@x"), Person("", ""),
    )  # fmt: skip
    assert (commit.authored, commit.committed) == (Instant(1, 60), None)
    body = b"tree x\nparent p q\nauthor A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n\n"
    message = b"parent not\n\nparent neither\n\nend"
    tree, parents, commit = parse_commit_object(ID, body + message)
    assert (tree, parents) == ("", ("p q",))
    assert commit.committer is commit.author
    assert commit.message == message.decode()
    assert parse_commit_object(ID, b"\n\n x\n")[2].message == " x\n"


# Writing ------------------------------------------------------------------------------

ORDER = TagOrder("m@v1.0.0", "b" * 40, "So", Person("Ada", "a@x"), Instant(5, 0))


@pytest.mark.parametrize(
    ("offset", "zone"),
    [(0, "+0000"), (1, "+0001"), (-1, "-0001"), (330, "+0530"), (-210, "-0330")],
)
def test_an_object_is_written_to_the_byte(offset: int, zone: str) -> None:
    order = TagOrder(
        ORDER.name, ORDER.commit_id, "So\n", ORDER.tagger, Instant(5, offset)
    )
    body = (
        f"object {'b' * 40}\ntype commit\ntag m@v1.0.0\ntagger Ada <a@x> 5 {zone}\n\n"
        "So\n"
    ).encode()
    assert format_tag_object(order) == body
    whole = b"tag %d\0" % len(body) + body
    assert tag_object_id(body) == hashlib.sha1(whole).hexdigest()  # noqa: S324
    assert tag_object_id(body, 40) == tag_object_id(body)
    assert tag_object_id(body, 64) == hashlib.sha256(whole).hexdigest()


@pytest.mark.parametrize(
    ("message", "tidy"),
    [
        ("a \t\r\f\v\nb", "a\nb"),
        ("a\u00a0\nb\x1c", "a\u00a0\nb\x1c"),  # what Python calls white space, Git not
        ("\n\na\n\n\n\nb\n\n", "a\n\nb"),
        ("XX", "XX"),
        ("a X", "a X"),
        (" a", " a"),
        ("\n \n", ""),
        ("a\n\x1f\n", "a\n\x1f"),
    ],
)
def test_a_message_loses_what_git_takes_off(message: str, tidy: str) -> None:
    order = TagOrder(ORDER.name, ORDER.commit_id, message, ORDER.tagger, ORDER.at)
    assert tidied(order).message == tidy


@pytest.mark.parametrize(
    ("name", "tidy"),
    [
        (" ,:;<>\"\\'Ada\x01\n", "Ada"),
        ("A<d>\na\0", "Ada"),
        ("Ada Jr.", "Ada Jr."),
        ("A, B", "A, B"),
    ],
)
def test_a_name_loses_what_git_takes_off(name: str, tidy: str) -> None:
    order = TagOrder(ORDER.name, ORDER.commit_id, "So", Person(name, name), ORDER.at)
    assert tidied(order).tagger == Person(tidy, tidy)


# Text and moments ---------------------------------------------------------------------


def test_text_is_clean_and_a_refs_name_is_kept_without_loss() -> None:
    assert text(b"a\0\xff\xc3\xa9") == "a\ufffd\ufffdé"
    assert ref_text(b"a\xff\xc3\xa9") == "a\\xffé"


@pytest.mark.parametrize(
    ("at", "utc", "local"),
    [
        (Instant(0), "1970-01-01T00:00:00+00:00", "1970-01-01T00:00:00+00:00"),
        (Instant(60, 90), "1970-01-01T00:01:00+00:00", "1970-01-01T01:31:00+01:30"),
        (Instant(0, 1439), "1970-01-01T00:00:00+00:00", "1970-01-01T23:59:00+23:59"),
        (Instant(0, 1440), "1970-01-01T00:00:00+00:00", "1970-01-01T00:00:00+00:00"),
        (Instant(0, -1440), "1970-01-01T00:00:00+00:00", "1970-01-01T00:00:00+00:00"),
        (
            Instant(FIRST_SECOND, -1439),
            *("0002-01-01T00:00:00+00:00", "0001-12-31T00:01:00-23:59"),
        ),
        (
            Instant(LAST_SECOND, 1439),
            *("9998-12-31T23:59:59+00:00", "9999-01-01T23:58:59+23:59"),
        ),
    ],
)
def test_a_moment_is_told_in_utc_and_by_the_writers_clock(
    at: Instant, utc: str, local: str
) -> None:
    assert at.utc.isoformat() == utc
    assert at.local.isoformat() == local
