"""A repository over GitHub's API is the one that Git holds."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.providers.base import Known
from indexer.providers.errors import (
    AccessDenied,
    AddressRefused,
    BadPayload,
    NotFound,
    RateLimited,
    Unavailable,
)
from indexer.providers.github import objects, reader
from tests.core.histories import History, histories, write_repository
from tests.providers import hostile
from tests.providers.conftest import known_of
from tests.providers.github.readers import (
    FILE,
    Place,
    PlaceOf,
    add_tag,
    assert_same,
    in_order,
    tagged,
)
from tests.providers.github_server import GitHubServer, serve_github
from tests.providers.object_store import open_store
from tests.providers.raw_repository import PERSON, WHEN, RawRepository
from tests.services import how_many

SIGNATURE = b"-----BEGIN PGP SIGNATURE-----\n\niQEz\n=a\n-----END PGP SIGNATURE-----\n"

T = TypeVar("T")


@pytest.fixture(scope="module")
def many(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[GitHubServer, Path]]:
    root = tmp_path_factory.mktemp("many")
    with serve_github(root / "github") as server:
        yield server, root


# The same as Git ---------------------------------------------------------------------


@pytest.mark.parametrize("name", hostile.ALL)
def test_T1_hostile_repositories_read_as_with_git(
    name: str, place_of: PlaceOf, tmp_path: Path
) -> None:
    reading = assert_same(place_of(hostile.ALL[name](tmp_path / "r.git")))
    assert reading.provider.read_by == ("mirror" if name == "names" else "api")


numbers = itertools.count()


@pytest.mark.fuzz
@settings(
    max_examples=how_many(12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=histories(), data=st.data())
def test_random_histories_read_as_with_git(
    many: tuple[GitHubServer, Path], history: History, data: st.DataObject
) -> None:
    """At once, and after any part of it was known."""
    server, root = many
    name = f"acme/h{next(numbers)}"
    server.add_repository(name, write_repository(root / name, history) / ".git")
    place = Place(server, name, root / "mirrors")
    whole = assert_same(place).snapshot
    known = known_of(whole)
    part = Known(
        tags=_some(data, known.tags),
        commits=_some(data, known.commits),
        documents=_some(data, known.documents),
    )
    assert_same(place, part)


def _some(data: st.DataObject, found: Mapping[str, T]) -> dict[str, T]:
    return {key: value for key, value in found.items() if data.draw(st.booleans())}


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("tag_line_feed", [False, True])
@pytest.mark.parametrize("commit_line_feed", [False, True])
def test_whatever_github_leaves_out_of_a_message_is_put_back(
    place_of: PlaceOf,
    tmp_path: Path,
    github: GitHubServer,
    signed: bool,
    tag_line_feed: bool,
    commit_line_feed: bool,
) -> None:
    github.conventions.tag_with_signature = signed
    github.conventions.tag_line_feed = tag_line_feed
    github.conventions.commit_line_feed = commit_line_feed
    repository = RawRepository(tmp_path / "r.git")
    tree = repository.files({"dvc.yaml": FILE % (1, 1)})
    folded = SIGNATURE.rstrip(b"\n").replace(b"\n", b"\n ")
    for number, end in enumerate((b"", b"\n", b"\n\n", b"\n\nAnd so on.\n")):
        lines = b"tree %s\nauthor %s %d -0330\ncommitter %s %d +0545\ngpgsig %s\n\n"
        body = lines % (tree.encode(), PERSON, WHEN, PERSON, WHEN + 9, folded)
        commit = repository.write("commit", body + b"A commit" + end)
        for kind, tail in ((b"s", SIGNATURE), (b"p", b"")):
            name = b"%s@v%d.0.0" % (kind, number)
            message = b"A message" + end + tail
            repository.tag(name, repository.tag_body(commit, name, message=message))
        repository.refs[b"refs/heads/main"] = commit
    reading = assert_same(place_of(repository.finish()))
    assert not reading.by_git


def test_names_and_files_that_are_not_utf_8_need_no_git(
    place_of: PlaceOf, tmp_path: Path
) -> None:
    repository = RawRepository(tmp_path / "r.git")
    folder = repository.tree(
        [
            (b"100644", b"caf\xe9", repository.blob(b"")),
            (b"100644", b"dvc.yaml", repository.blob(b"artifacts:\n  caf\xe9: {}\n")),
        ]
    )
    root = repository.tree([(b"40000", b"\xff\xfe", folder)])
    repository.refs[b"refs/heads/main"] = repository.commit(root)
    repository.version("m@v1.0.0", repository.refs[b"refs/heads/main"])
    reading = assert_same(place_of(repository.finish()))
    assert not reading.by_git
    assert len(reading.snapshot.documents) == 1


def test_an_old_server_without_raw_names_is_helped_by_git(
    place_of: PlaceOf, tmp_path: Path, github: GitHubServer
) -> None:
    repository = RawRepository(tmp_path / "r.git")
    file = repository.blob(FILE % (1, 1))
    entries = [(b"100644", b"caf\xe9", file), (b"100644", b"dvc.yaml", file)]
    repository.refs[b"refs/heads/main"] = repository.commit(repository.tree(entries))
    place = place_of(repository.finish())
    told = "Field 'nameRaw' doesn't exist on type 'TreeEntry'"
    github.fault(
        lambda one: b"nameRaw" in one.body,
        status=200,
        body={"errors": [{"message": told}]},
    )
    reading = assert_same(place)
    assert reading.provider.read_by == "api"
    assert reading.by_git


@pytest.mark.parametrize("tags", [1, 12])
def test_a_signed_tag_inside_another_is_proven_too(
    place_of: PlaceOf, tmp_path: Path, github: GitHubServer, tags: int
) -> None:
    """By REST if they are few, else over Git."""
    github.conventions.tag_with_signature = False
    repository = tagged(tmp_path / "r.git", 1)
    main = repository.refs[b"refs/heads/main"]
    for number in range(tags):
        body = repository.tag_body(main, b"in", message=b"%d\n" % number + SIGNATURE)
        inner = repository.write("tag", body)
        name = b"m0@v1.%d.0" % number
        repository.tag(name, repository.tag_body(inner, name, kind="tag"))
    reading = assert_same(place_of(repository.finish()))
    assert all(tag.commit_id == main for tag in reading.snapshot.tags)
    assert bool(reading.by_git) == (tags > 10)
    assert max(reading.asked_ids.values()) <= 2


def test_what_the_api_cannot_tell_exactly_comes_alone_over_git(
    place_of: PlaceOf, tmp_path: Path
) -> None:
    """A commit with a header that GitHub does not name."""
    repository = tagged(tmp_path / "r.git", 5)
    main = repository.refs[b"refs/heads/main"]
    tree = repository.files({"dvc.yaml": FILE % (1, 1), "a/dvc.yaml": FILE % (2, 2)})
    odd = repository.write(
        "commit",
        b"tree %s\nparent %s\nauthor %s %d +0000\ncommitter %s %d +0000\n"
        b"encoding ISO-8859-1\n\ncaf\xe9\n"
        % (tree.encode(), main.encode(), PERSON, WHEN, PERSON, WHEN),
    )
    repository.version("m0@v9.0.0", odd)
    place = place_of(repository.finish())
    reading = assert_same(place)
    assert reading.provider.read_by == "api"
    assert reading.snapshot.commits[odd].message == "caf\xe9\n"
    assert len(reading.by_git) > 0
    fetched = objects_of_packs(place.remote("api").mirror)
    assert odd in fetched
    assert main not in fetched


def objects_of_packs(mirror: Path) -> str:
    """The list of a mirror's objects."""
    listed = ""
    for index in (mirror / "objects" / "pack").glob("*.idx"):
        with index.open("rb") as stdin:
            command = ["git", "show-index"]
            done = subprocess.run(command, stdin=stdin, capture_output=True, check=True)
        listed += done.stdout.decode()
    return listed


def lose(repository: RawRepository, ref: bytes) -> None:
    """Lose the object of a ref; the server forgets it too."""
    repository.object_path(repository.refs[ref]).unlink()
    open_store.cache_clear()


def test_a_repository_that_changed_since_it_was_listed_is_listed_again(
    place_of: PlaceOf, tmp_path: Path
) -> None:
    repository = tagged(tmp_path / "r.git", 3)
    place = place_of(repository.path)
    provider = place.api()
    listing = provider.fetch_listing()
    lose(repository, b"refs/tags/m0@v1.0.0")
    del repository.refs[b"refs/tags/m0@v1.0.0"]
    add_tag(repository, 7)
    repository.finish()
    snapshot = provider.fetch_snapshot(listing, Known())
    assert in_order(snapshot) == in_order(place.read_by_git())
    assert {tag.ref for tag in snapshot.tags} == {f"m0@v{n}.0.0" for n in (0, 2, 7)}


def test_objects_that_nobody_has_are_told_as_git_tells_them(
    place_of: PlaceOf, tmp_path: Path
) -> None:
    repository = tagged(tmp_path / "r.git", 3)
    lose(repository, b"refs/tags/m0@v1.0.0")
    reading = assert_same(place_of(repository.path))
    assert "object-missing" in {one.code for one in reading.snapshot.problems}
    lose(repository, b"refs/heads/main")
    with pytest.raises(BadPayload):
        place_of(repository.path).read()


def test_tags_of_tags_are_followed_to_their_end(
    place_of: PlaceOf, tmp_path: Path
) -> None:
    repository = tagged(tmp_path / "r.git", 1)
    inner = repository.refs[b"refs/tags/m0@v0.0.0"]
    for number in range(1, 9):
        name = b"m0@v%d.0.0" % number
        inner = repository.tag(name, repository.tag_body(inner, name, kind="tag"))
        if number < 8:
            del repository.refs[b"refs/tags/" + name]
    assert_same(place_of(repository.finish()))


def test_an_empty_repository_and_one_without_its_default_branch(
    place_of: PlaceOf, tmp_path: Path
) -> None:
    assert_same(place_of(RawRepository(tmp_path / "empty.git").finish()))
    repository = tagged(tmp_path / "r.git", 1)
    repository.head = b"ref: refs/heads/gone\n"
    reading = assert_same(place_of(repository.finish()))
    assert [one.code for one in reading.snapshot.problems] == ["no-default-branch"]


def test_many_branches_are_all_listed(place_of: PlaceOf, tmp_path: Path) -> None:
    repository = tagged(tmp_path / "r.git", 1)
    for number in range(130):
        name = b"refs/heads/b%d" % number
        repository.refs[name] = repository.refs[b"refs/heads/main"]
    reading = assert_same(place_of(repository.finish()))
    assert len(reading.snapshot.branches) == 131


# Other ways --------------------------------------------------------------------------


def test_a_server_without_graphql_is_read_over_rest(
    place_of: PlaceOf, tmp_path: Path, github: GitHubServer
) -> None:
    repository = tagged(tmp_path / "r.git", 3)
    inner = repository.refs[b"refs/tags/m0@v2.0.0"]
    repository.tag(b"m0@v9.0.0", repository.tag_body(inner, b"m0@v9.0.0", kind="tag"))
    repository.refs[b"refs/tags/light@v1.0.0"] = repository.refs[b"refs/heads/main"]
    place = place_of(repository.finish())
    expected = place.read_by_git()
    github.fault("graphql", times=None, status=404)
    reading = place.read()
    assert reading.snapshot == expected
    assert reading.provider.read_by == "api"
    assert not reading.by_git


@pytest.mark.parametrize(
    "name", ["tag-objects", "yaml", "links", "large", "pack-bomb", "deep"]
)
def test_T1_hostile_repositories_read_over_rest_as_with_git(
    name: str, place_of: PlaceOf, tmp_path: Path, github: GitHubServer
) -> None:
    github.fault("graphql", times=None, status=404)
    github.is_checked = False  # what it tells of broken tags is no fault of its own
    assert_same(place_of(hostile.ALL[name](tmp_path / "r.git")))


def test_a_tree_cut_short_is_read_through_a_mirror(
    place_of: PlaceOf, tmp_path: Path, github: GitHubServer
) -> None:
    github.tree_limit = 100
    reading = assert_same(place_of(tagged(tmp_path / "r.git", 3, more=200).path))
    assert reading.provider.read_by == "mirror"
    assert "folders" in reading.provider.read_by_why


def test_too_many_tags_are_read_through_a_mirror(
    place_of: PlaceOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MAX_TAGS", 4)
    reading = assert_same(place_of(tagged(tmp_path / "r.git", 5).path))
    assert reading.provider.read_by == "mirror"
    assert len([line for line in reading.lines if "graphql" in line]) == 1


@pytest.mark.parametrize(
    ("limit", "most"), [("MAX_TREES", 3), ("MAX_BLOBS", 3), ("MAX_LEVELS", 1)]
)
def test_what_is_too_much_for_the_api_is_read_through_a_mirror(
    place_of: PlaceOf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    most: int,
) -> None:
    monkeypatch.setattr(objects, limit, most)
    repository = RawRepository(tmp_path / "r.git")
    for number in range(6):
        deep = "/".join(f"d{number}{level}" for level in range(12))
        content = {f"{deep}/dvc.yaml": FILE % (number, number)}
        commit = repository.commit(repository.files(content))
        repository.refs[b"refs/heads/main"] = commit
        repository.version(f"m@v{number}.0.0", commit)
    reading = assert_same(place_of(repository.finish()))
    assert reading.provider.read_by == "mirror"


# Refusals ----------------------------------------------------------------------------


def test_F_P4_a_repository_that_is_gone_or_hidden_is_not_found(
    place_of: PlaceOf, tmp_path: Path, github: GitHubServer
) -> None:
    place = place_of(tagged(tmp_path / "r.git", 1).path)
    github.hide(place.path)
    with pytest.raises(NotFound):
        place.api().fetch_listing()


def test_F_P4_a_token_that_is_revoked_is_no_access(
    place_of: PlaceOf, tmp_path: Path
) -> None:
    place = place_of(tagged(tmp_path / "r.git", 1).path)
    with pytest.raises(AccessDenied):
        place.api("ghp_revoked").fetch_listing()


def test_F_P1_a_limit_is_told_with_its_end(
    place_of: PlaceOf, tmp_path: Path, github: GitHubServer
) -> None:
    place = place_of(tagged(tmp_path / "r.git", 1).path)
    provider = place.api()
    listing = provider.fetch_listing()
    github.fault("graphql", status=429, headers={"Retry-After": "60"})
    with pytest.raises(RateLimited):
        provider.fetch_snapshot(listing, Known())


@pytest.mark.parametrize("path", ["acme", "a/b/c", "../x", "a/..", 'a/b"', "a/b#c"])
def test_S7_a_path_that_is_none_asks_nobody(
    github: GitHubServer, tmp_path: Path, path: str
) -> None:
    with pytest.raises(AddressRefused):
        Place(github, path, tmp_path).api().fetch_listing()
    assert not github.requests


@pytest.mark.parametrize("has_graphql", [True, False])
def test_Z7_a_name_that_another_repository_took_is_not_read(
    place_of: PlaceOf, tmp_path: Path, github: GitHubServer, has_graphql: bool
) -> None:
    place = place_of(tagged(tmp_path / "r.git", 1).path)
    if not has_graphql:
        github.fault("graphql", times=None, status=404)
    for number, is_it in ((str(github.repository(place.path).id), True), ("7", False)):
        remote = replace(place.remote("api"), provider_id=number)
        provider = reader.GitHubProvider(remote, place.client())
        if is_it:
            assert provider.fetch_listing().tags
        else:
            with pytest.raises(NotFound, match="Another repository"):
                provider.fetch_listing()


@pytest.mark.parametrize("link", ["", '<{url}>; rel="next"'])
def test_D7_pages_of_refs_are_followed_to_an_end(
    place_of: PlaceOf, tmp_path: Path, github: GitHubServer, link: str
) -> None:
    """A server may make pages; one that sends the same again is not asked for ever."""
    place = place_of(tagged(tmp_path / "r.git", 120, files=1).path)
    refs = [
        {"ref": f"refs/tags/m@v{n}.0.0", "object": {"type": "tag", "sha": "1" * 40}}
        for n in range(130)
    ]
    headers = {"Link": link.format(url=f"{github.url}/next")}
    github.fault("matching-refs", status=200, body=refs[:60], headers=headers)
    github.fault("matching-refs", status=200, body=refs[60:], headers=headers)
    github.fault("matching-refs", times=None, status=200, body=refs, headers=headers)
    github.is_checked = False
    before = len(github.requests)
    with pytest.raises(Unavailable if not link else BadPayload):
        place.api().fetch_listing()
    assert len(github.requests) - before <= 4
    assert not github.count("GET /next")


def test_Z6_a_list_of_refs_that_is_short_proves_nothing(
    place_of: PlaceOf, tmp_path: Path, github: GitHubServer
) -> None:
    place = place_of(tagged(tmp_path / "r.git", 120, files=1).path)
    github.fault("matching-refs", status=200, body=[])
    with pytest.raises(Unavailable):
        place.api().fetch_listing()
