"""The GitLab reader: the same snapshot as the Git reader's, in few requests, and what
is left of it where Git over HTTP is closed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from indexer.core.snapshot import GitTag, Instant, ObjectType, RepositorySnapshot
from indexer.core.state import build_state
from indexer.providers.base import Known
from indexer.providers.errors import AccessDenied, NotFound, TooLarge, Unavailable
from indexer.providers.git.reader import GitProvider
from indexer.providers.gitlab import objects
from indexer.providers.gitlab.reader import UNTOLD, GitLabProvider
from tests.core.histories import History, histories, write_repository
from tests.providers import hostile
from tests.providers.conftest import known_of, read
from tests.providers.gitlab.conftest import (
    ProviderOf,
    client_of,
    read_with_git,
    remote_of,
)
from tests.providers.gitlab_server import GitLabServer, serve_gitlab
from tests.providers.raw_repository import (
    PERSON,
    WHEN,
    RawRepository,
    simple_repository,
)
from tests.services import how_many

REST = "/api/v4/"


def serve(gitlab: GitLabServer, repository: RawRepository) -> str:
    return gitlab.add_repository("acme/churn", repository.path)


def commands(gitlab: GitLabServer) -> int:
    """How many git commands came: each begins with a look at what is offered, whose
    first answer, 401, makes git send the token."""
    return sum(
        "/info/refs" in str(request) and request.status == 200
        for request in gitlab.requests
    )


def by_ref(snapshot: RepositorySnapshot) -> dict[str, GitTag]:
    return {tag.ref: tag for tag in snapshot.tags}


def but_untold(snapshot: RepositorySnapshot) -> RepositorySnapshot:
    """A snapshot without what GitLab's API keeps back of some tags: the tagger, the
    zone of the date, a signature, a name inside that differs, tags of tags."""
    tags = []
    for tag in snapshot.tags:
        if tag.tag is not None:
            words = " ".join(tag.tag.message.split())
            told = replace(
                tag.tag, name="", target_id="", target_type=ObjectType.COMMIT,
                tagger=None, tagged=None, signature=b"", flaws=(), message=words,
            )  # fmt: skip
            tag = replace(tag, tag=told)
        tags.append(tag)
    return replace(snapshot, tags=tuple(tags))


# The usual way --------------------------------------------------------------------


def test_it_gives_the_snapshot_that_git_gives(
    gitlab: GitLabServer, provider_of: ProviderOf, tmp_path: Path
) -> None:
    repository = simple_repository(gitlab.root / "repo", tags=5)
    provider = provider_of(serve(gitlab, repository))
    snapshot = read(provider)
    assert snapshot == read_with_git(repository.path, tmp_path / "mirror")
    assert len(snapshot.tags) == 5
    assert (provider.read_by, provider.read_by_why) == ("api", "")


def test_a_first_reading_asks_little(
    gitlab: GitLabServer, provider_of: ProviderOf
) -> None:
    """Three commands of Git (refs; tags, commits and trees; files), and no API
    request, however many tags there are."""
    provider = provider_of(
        serve(gitlab, simple_repository(gitlab.root / "r", tags=150))
    )
    assert len(read(provider).tags) == 150
    assert commands(gitlab) == 3
    assert gitlab.count(REST) == 0


def test_one_new_tag_costs_two_git_commands_and_a_request(
    gitlab: GitLabServer, provider_of: ProviderOf, tmp_path: Path
) -> None:
    repository = simple_repository(gitlab.root / "repo", tags=3)
    provider = provider_of(serve(gitlab, repository))
    known = known_of(read(provider))
    commit = repository.commit(
        repository.files({"dvc.yaml": b"artifacts: {churn: {type: model}}\n"})
    )
    repository.version("churn@v9.0.0", commit)
    repository.finish()
    gitlab.requests.clear()
    snapshot = read(provider, known)
    assert snapshot == read_with_git(repository.path, tmp_path / "mirror")
    assert commands(gitlab) == 2
    assert gitlab.count(REST) == gitlab.count("/repository/blobs/") == 1


def test_nothing_new_costs_one_git_command(
    gitlab: GitLabServer, provider_of: ProviderOf
) -> None:
    provider = provider_of(serve(gitlab, simple_repository(gitlab.root / "repo")))
    known = known_of(read(provider))
    gitlab.requests.clear()
    read(provider, known)
    assert commands(gitlab) == 1
    assert gitlab.count(REST) == 0


@pytest.mark.parametrize(
    "harm",
    [
        {"status": 429, "headers": {"Retry-After": "60"}},
        {"status": 503},
        {"status": 404, "body": {"message": "404 Blob Not Found"}},
        {"status": 200, "body": {"encoding": "base64", "content": "aGFja2Vk"}},
        {"status": 200, "body": {"encoding": "text", "content": "x"}},
        {"reset": "before"},
    ],
)
def test_a_file_that_rest_does_not_give_comes_over_git(
    harm: dict[str, object],
    gitlab: GitLabServer,
    provider_of: ProviderOf,
    tmp_path: Path,
) -> None:
    repository = simple_repository(gitlab.root / "repo", tags=1)
    provider = provider_of(serve(gitlab, repository))
    fault = gitlab.fault("/repository/blobs/", times=None, **harm)
    snapshot = read(provider)
    assert fault.hits
    assert snapshot == read_with_git(repository.path, tmp_path / "mirror")


def test_a_server_without_filters_gives_the_same(
    gitlab: GitLabServer,
    provider_of: ProviderOf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        GitLabServer, "git_configuration", ("uploadpack.allowFilter=false",)
    )
    repository = simple_repository(gitlab.root / "repo", tags=3)
    snapshot = read(provider_of(serve(gitlab, repository)))
    assert snapshot == read_with_git(repository.path, tmp_path / "mirror")


@pytest.mark.parametrize("name", hostile.ALL)
def test_T1_hostile_repositories_read_as_with_git(
    gitlab: GitLabServer, provider_of: ProviderOf, tmp_path: Path, name: str
) -> None:
    project = gitlab.add_repository(
        f"acme/{name}", hostile.ALL[name](gitlab.root / name)
    )
    remote = remote_of(gitlab, project, tmp_path / "mirror")
    assert read(provider_of(project)) == read(GitProvider(remote))


@pytest.mark.fuzz
def test_random_histories_read_as_with_git(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    @settings(
        max_examples=how_many(6),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(histories(most_tags=16))
    def compare(history: History) -> None:
        folder = tmp_path_factory.mktemp("history")
        path = write_repository(folder / "repo", history)
        with serve_gitlab(folder) as gitlab:
            project = gitlab.add_repository("acme/repo", path)
            expected = read_with_git(path, folder / "git")
            usual = GitLabProvider(
                remote_of(gitlab, project, folder / "usual"), client_of(gitlab)
            )
            assert read(usual) == expected
            gitlab.git_enabled = False
            alone = GitLabProvider(
                remote_of(gitlab, project, folder / "alone"), client_of(gitlab)
            )
            assert but_untold(read(alone)) == but_untold(expected)

    compare()


# REST alone -----------------------------------------------------------------------


@pytest.fixture
def closed(gitlab: GitLabServer) -> GitLabServer:
    """Git over HTTP is off."""
    gitlab.git_enabled = False
    return gitlab


def test_taggers_who_commit_are_proven_without_git(
    closed: GitLabServer, provider_of: ProviderOf, tmp_path: Path
) -> None:
    repository = simple_repository(closed.root / "repo", tags=4)
    provider = provider_of(serve(closed, repository))
    assert read(provider) == read_with_git(repository.path, tmp_path / "mirror")
    assert provider.read_by == "api"
    assert "Git over HTTPS was refused" in provider.read_by_why
    # The project, branches, tags; of four commits the tree; four files.
    assert closed.count(REST) == 3 + 4 + 4


def stranger(repository: RawRepository) -> str:
    """A tag by somebody who made no commit; its object's id."""
    head = repository.refs[b"refs/heads/main"]
    body = repository.tag_body(
        head,
        b"churn#prod#1",
        tagger=b"Bob Stranger <bob@example.com> %d +0200" % WHEN,
        message=b"To production\n",
    )
    return repository.tag(b"churn#prod#1", body)


def test_a_tagger_nobody_tells_is_said_so(
    closed: GitLabServer, provider_of: ProviderOf
) -> None:
    repository = simple_repository(closed.root / "repo", tags=2)
    object_id = stranger(repository)
    repository.finish()
    snapshot = read(provider_of(serve(closed, repository)))
    tag = by_ref(snapshot)["churn#prod#1"]
    assert tag.object_id == object_id
    assert tag.commit_id == repository.refs[b"refs/heads/main"]
    assert tag.tag is not None
    assert tag.tag.tagger is None
    assert tag.tag.tagged == Instant(WHEN)
    assert tag.tag.message == "To production"
    assert tag.tag.flaws == (UNTOLD,)
    assert "read_repository" in UNTOLD
    assert "churn" in build_state(snapshot).artifacts


@pytest.mark.parametrize("name", ["tag-objects", "names", "yaml", "links", "large"])
def test_T1_the_good_part_of_a_hostile_repository_is_read_over_rest(
    name: str, closed: GitLabServer, provider_of: ProviderOf
) -> None:
    path = hostile.ALL[name](closed.root / "repo")
    snapshot = read(provider_of(closed.add_repository("acme/churn", path)))
    tag = by_ref(snapshot)[hostile.GOOD_TAG]
    files = {file.path: file for file in snapshot.commits[tag.commit_id or ""].files}
    assert snapshot.documents[files["dvc.yaml"].blob_id].value == {
        "artifacts": {"churn": {"type": "model", "path": "model.pkl"}}
    }
    build_state(snapshot)


def test_an_old_gitlab_tells_no_date_either(
    closed: GitLabServer, provider_of: ProviderOf
) -> None:
    closed.has_created_at = False
    snapshot = read(provider_of(serve(closed, simple_repository(closed.root / "r"))))
    tag = by_ref(snapshot)["churn@v1.0.0"].tag
    assert tag is not None
    assert (tag.tagger, tag.tagged, tag.flaws) == (None, None, (UNTOLD,))


def test_once_git_is_open_the_tagger_is_read(
    closed: GitLabServer, provider_of: ProviderOf, tmp_path: Path
) -> None:
    repository = simple_repository(closed.root / "repo", tags=2)
    stranger(repository)
    repository.finish()
    provider = provider_of(serve(closed, repository))
    known = known_of(read(provider))
    closed.git_enabled = True
    snapshot = read(provider, known)
    assert snapshot == read_with_git(repository.path, tmp_path / "mirror")


def test_lightweight_tags_branches_and_folders_over_rest(
    closed: GitLabServer, provider_of: ProviderOf, tmp_path: Path
) -> None:
    repository = simple_repository(closed.root / "repo", tags=1)
    head = repository.commit(
        repository.files(
            {
                "models/cv/dvc.yaml": b"artifacts: {cv: {type: model}}\n",
                ".gto": b"stages: [dev]\n",
                "models/über/dvc.yaml": b"artifacts: {u: {type: model}}\n",
            }
        ),
        parents=[repository.refs[b"refs/heads/main"]],
    )
    repository.refs[b"refs/heads/main"] = head
    repository.refs[b"refs/heads/other"] = head
    repository.refs[b"refs/tags/light@v1.0.0"] = head
    repository.finish()
    snapshot = read(provider_of(serve(closed, repository)))
    assert snapshot == read_with_git(repository.path, tmp_path / "mirror")
    assert len(snapshot.commits[head].files) == 3


def test_an_empty_repository_over_rest(
    closed: GitLabServer, provider_of: ProviderOf
) -> None:
    repository = RawRepository(closed.root / "repo")
    assert read(provider_of(serve(closed, repository))) == RepositorySnapshot()


def test_pages_of_tags_and_trees_over_rest(
    closed: GitLabServer, provider_of: ProviderOf, tmp_path: Path
) -> None:
    repository = simple_repository(closed.root / "repo", tags=1)
    head = repository.commit(
        repository.files({f"folder/{n:03}.txt": b"x" for n in range(250)})
    )
    repository.refs[b"refs/heads/main"] = head
    for number in range(230):
        repository.refs[b"refs/tags/release-%d" % number] = head
    repository.finish()
    snapshot = read(provider_of(serve(closed, repository)))
    assert snapshot == read_with_git(repository.path, tmp_path / "mirror")
    assert len(snapshot.tags) == 231
    assert closed.count("/repository/tags") == 3
    assert closed.count(f"/repository/tree?ref={head}") == 3


def test_a_tree_too_large_for_rest_says_what_to_do(
    closed: GitLabServer, provider_of: ProviderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "MOST_TREE_PAGES", 2)
    repository = simple_repository(closed.root / "repo", tags=1)
    repository.refs[b"refs/heads/main"] = repository.commit(
        repository.files({f"{n:03}.txt": b"x" for n in range(250)})
    )
    repository.finish()
    with pytest.raises(TooLarge, match="Allow Git over HTTPS"):
        read(provider_of(serve(closed, repository)))


def test_a_repository_that_changes_meanwhile_is_listed_again(
    closed: GitLabServer, provider_of: ProviderOf, tmp_path: Path
) -> None:
    repository = simple_repository(closed.root / "repo", tags=2)
    provider = provider_of(serve(closed, repository))
    listing = provider.fetch_listing()
    head = repository.refs[b"refs/heads/main"]
    repository.refs[b"refs/heads/main"] = repository.commit(
        repository.files({"dvc.yaml": b"a: 1\n"})
    )
    del repository.refs[b"refs/tags/churn@v2.0.0"]
    repository.finish()
    repository.object_path(head).unlink()
    snapshot = provider.fetch_snapshot(listing, Known())
    assert snapshot == read_with_git(repository.path, tmp_path / "mirror")
    assert len(snapshot.tags) == 1


def test_a_file_that_is_another_is_refused(
    closed: GitLabServer, provider_of: ProviderOf
) -> None:
    """What REST gives is the file with that id, or an error."""
    provider = provider_of(serve(closed, simple_repository(closed.root / "r", tags=1)))
    forged = {"encoding": "base64", "content": "aGFja2Vk", "size": 6}
    closed.fault("/repository/blobs/", times=None, status=200, body=forged)
    with pytest.raises(Exception, match="another file than asked for"):
        read(provider)


# Which error ----------------------------------------------------------------------


def test_F_P4_a_revoked_token_a_gone_repository_a_missing_scope(
    gitlab: GitLabServer, provider_of: ProviderOf
) -> None:
    project = serve(gitlab, simple_repository(gitlab.root / "repo"))
    with pytest.raises(AccessDenied):
        read(provider_of(project, token="glpat-revoked"))
    only_api = gitlab.add_token("alice", frozenset({"read_api"}))
    limited = provider_of(project, token=only_api)
    assert len(read(limited).tags) == 3
    assert "refused" in limited.read_by_why
    only_git = gitlab.add_token("alice", frozenset({"read_repository"}))
    assert len(read(provider_of(project, token=only_git)).tags) == 3
    gitlab.hide(project)
    with pytest.raises(NotFound):
        read(provider_of(project))


def test_a_server_that_is_down_is_asked_no_other_way(
    gitlab: GitLabServer, provider_of: ProviderOf
) -> None:
    project = serve(gitlab, simple_repository(gitlab.root / "repo"))
    gitlab.fault("/info/refs", status=502, times=None)
    with pytest.raises(Unavailable):
        provider_of(project).fetch_listing()
    assert gitlab.count(REST) == 0


def test_a_moved_repository_is_found_by_its_number(
    gitlab: GitLabServer, provider_of: ProviderOf
) -> None:
    """Git's old address redirects, and Muster does not follow: it asks GitLab where
    the repository with that number is now."""
    project = serve(gitlab, simple_repository(gitlab.root / "repo"))
    provider = provider_of(project)
    gitlab.add_owner("beta")
    gitlab.rename(project, "beta/churn")
    assert len(read(provider).tags) == 3


def test_it_asks_with_the_person_that_wrote_it(
    closed: GitLabServer, provider_of: ProviderOf
) -> None:
    """A tagger is proven for each zone that clocks have."""
    repository = simple_repository(closed.root / "repo", tags=1)
    head = repository.refs[b"refs/heads/main"]
    for zone in (b"+0545", b"-0330", b"-0800"):
        name = b"churn#" + zone[1:]
        body = repository.tag_body(head, name, tagger=PERSON + b" %d " % WHEN + zone)
        repository.tag(name, body)
    repository.finish()
    snapshot = read(provider_of(serve(closed, repository)))
    offsets = {
        tag.tag.tagged.offset for tag in snapshot.tags if tag.tag and tag.tag.tagged
    }
    assert offsets == {60, 345, -210, -480}
    assert not any(tag.tag.flaws for tag in snapshot.tags if tag.tag)
