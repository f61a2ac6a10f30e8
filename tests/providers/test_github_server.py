"""The GitHub test server tells the truth: clients that are not ours read from it what
Git holds, and what GitHub would not answer, it does not answer."""

from __future__ import annotations

import hashlib
import hmac
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from github import Auth, Github

from tests.providers.api_requests import Reply
from tests.providers.api_server import ApiServer, serve
from tests.providers.git_server import GIT
from tests.providers.github_description import (
    check_answer,
    check_query,
    check_request,
)
from tests.providers.github_server import GitHubServer, serve_github
from tests.providers.many_repositories import make_repositories
from tests.providers.raw_repository import RawRepository

ENVIRONMENT = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
MODEL = "demo/model-0001"
REPOSITORY = f"/repos/{MODEL}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitHubServer]:
    with serve_github(tmp_path) as server:
        (bare,) = make_repositories(tmp_path / "demo", 1)
        server.add_repository(MODEL, bare, private=True)
        yield server


def git(*arguments: str | Path) -> str:
    return subprocess.run(
        [GIT, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    ).stdout


def address(server: GitHubServer) -> str:
    host = server.url.removeprefix("http://")
    return f"http://x-access-token:{server.token}@{host}/{MODEL}.git"


def call(server: GitHubServer, method: str, path: str, **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {server.token}", **more.pop("headers", {})}
    url = f"{server.url}/api/v3{path}"
    return requests.request(
        method, url, headers=headers, allow_redirects=False, timeout=20, **more
    )


def query(server: GitHubServer, text: str) -> Any:
    headers = {"Authorization": f"Bearer {server.token}"}
    url = f"{server.url}/api/graphql"
    answer = requests.post(url, json={"query": text}, headers=headers, timeout=20)
    return answer.json()


# Git ----------------------------------------------------------------------------------


def test_git_lists_clones_and_pushes(server: GitHubServer, tmp_path: Path) -> None:
    listed = git("ls-remote", address(server))
    assert listed == git("ls-remote", tmp_path / "demo" / "model-0001.git")
    clone = tmp_path / "clone"
    git("clone", "-q", "--filter=blob:none", address(server), clone)
    before = server.repository(MODEL).pushed_at
    git("-C", clone, "push", "-q", "origin", "HEAD:refs/heads/other")
    assert server.repository(MODEL).pushed_at > before
    assert "refs/heads/other" in git("ls-remote", address(server))


@pytest.mark.parametrize("token", ["", "wrong"])
def test_git_is_for_those_who_may(server: GitHubServer, token: str) -> None:
    url = address(server).replace(server.token, token)
    with pytest.raises(subprocess.CalledProcessError) as failure:
        git("ls-remote", url)
    assert "Authentication failed" in failure.value.stderr


# PyGithub -----------------------------------------------------------------------------


def test_PyGithub_reads_what_git_holds(server: GitHubServer, tmp_path: Path) -> None:
    bare = tmp_path / "demo" / "model-0001.git"
    with Github(
        auth=Auth.Token(server.token), base_url=f"{server.url}/api/v3"
    ) as client:
        repository = client.get_repo(MODEL)
        refs = {r.ref: r.object.sha for r in repository.get_git_matching_refs("tags/")}
        shown = git(
            "-C", bare, "for-each-ref", "--format=%(refname) %(objectname)", "refs/tags"
        )
        assert refs == dict(line.split() for line in shown.splitlines())
        tag = repository.get_git_tag(refs["refs/tags/model#prod#1"])
        assert tag.tagger.date == datetime(2023, 11, 15, 0, 13, 20, tzinfo=UTC)
        assert tag.message == "Assign\n"
        file = repository.get_contents("artifacts.yaml")
        assert not isinstance(file, list)
        assert file.decoded_content.decode() == git(
            "-C", bare, "show", "main:artifacts.yaml"
        )
        tree = repository.get_git_tree("main", recursive=True)
        assert [entry.path for entry in tree.tree] == ["artifacts.yaml", "params.yaml"]


def test_GraphQL_reads_what_git_holds(server: GitHubServer, tmp_path: Path) -> None:
    bare = tmp_path / "demo" / "model-0001.git"
    answer = query(
        server,
        """{ repository(owner: "demo", name: "model-0001") {
            refs(refPrefix: "refs/tags/", first: 100) {
              totalCount
              nodes {
                name
                target { oid ... on Tag { tagger { date } target { oid } } }
              }
            }
            object(expression: "model@v1.1.0:params.yaml") { ... on Blob { text } }
            nothing: object(expression: "main:absent") { oid }
          }
        }""",
    )
    repository = answer["data"]["repository"]
    shown = git(
        "-C",
        bare,
        "for-each-ref",
        "--format=%(refname:lstrip=2) %(objectname) %(*objectname)"
        " %(taggerdate:iso-strict)",
        "refs/tags",
    )
    assert [
        " ".join(
            (
                node["name"],
                node["target"]["oid"],
                node["target"]["target"]["oid"],
                node["target"]["tagger"]["date"].replace("Z", "+00:00"),
            )
        )
        for node in repository["refs"]["nodes"]
    ] == shown.splitlines()
    assert repository["object"]["text"] == "depth: 1\n"
    assert repository["nothing"] is None


def test_a_tagger_that_makes_no_sense_has_no_date(
    server: GitHubServer, tmp_path: Path
) -> None:
    raw = RawRepository(tmp_path / "raw.git")
    commit = raw.write("commit", b"tree " + raw.files({}).encode() + b"\n\nx\n")
    for name, tagger in (("none", b""), ("bad", b"tagger A <a@b> soon\n")):
        body = f"object {commit}\ntype commit\ntag {name}\n".encode()
        oid = raw.write("tag", body + tagger + b"\nm\n")
        raw.refs[f"refs/tags/{name}".encode()] = oid
    raw.finish()
    server.add_repository("acme/raw", raw.path)
    answer = query(
        server,
        """{ repository(owner: "acme", name: "raw") {
          refs(refPrefix: "refs/tags/", first: 9) {
            nodes { name target { ... on Tag { tagger { name date } } } }
        } } }""",
    )
    nodes = answer["data"]["repository"]["refs"]["nodes"]
    assert [(node["name"], node["target"]["tagger"]) for node in nodes] == [
        ("bad", {"name": "A", "date": None}),
        ("none", None),
    ]


# The decoy ----------------------------------------------------------------------------


def test_a_raw_hash_in_a_path_deletes_another_tag(server: GitHubServer) -> None:
    """As at GitHub: what follows a raw `#` never leaves the client."""
    store = server.repository(MODEL).store
    store.set_ref("refs/tags/model", store.refs()["refs/tags/model@v1.1.0"])
    raw = call(server, "DELETE", f"{REPOSITORY}/git/refs/tags/model#prod#1")
    assert raw.status_code == 204
    assert "refs/tags/model" not in store.refs()
    assert "refs/tags/model#prod#1" in store.refs()
    quoted = call(server, "DELETE", f"{REPOSITORY}/git/refs/tags/model%23prod%231")
    assert quoted.status_code == 204
    assert "refs/tags/model#prod#1" not in store.refs()


def test_files_go_to_a_branch_and_into_a_pull_request(server: GitHubServer) -> None:
    """What changes a file: blob, tree, commit, branch, pull request."""
    store = server.repository(MODEL).store
    head = store.resolve("main")

    def post(path: str, **body: Any) -> Any:
        answer = call(server, "POST", f"{REPOSITORY}{path}", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    blob = post("/git/blobs", content="depth: 9\n")["sha"]
    entry = {"path": "in/params.yaml", "mode": "100644", "type": "blob", "sha": blob}
    tree = post("/git/trees", base_tree=store.peel(str(head), "tree"), tree=[entry])
    made = post("/git/commits", message="m", tree=tree["sha"], parents=[head])
    post("/git/refs", ref="refs/heads/deeper", sha=made["sha"])
    shown = git("-C", store.path, "show", "deeper:in/params.yaml")
    assert shown == "depth: 9\n"
    assert git("-C", store.path, "fsck", "--strict").count("error") == 0
    pull = {"title": "Deeper", "head": "deeper", "base": "main"}
    assert post("/pulls", **pull)["number"] == 1
    again = call(server, "POST", f"{REPOSITORY}/pulls", json=pull)
    assert "already exists" in again.json()["errors"][0]["message"]
    (listed,) = call(server, "GET", f"{REPOSITORY}/pulls?head=demo:deeper").json()
    assert listed["head"]["sha"] == made["sha"]


# GitHub's manners ---------------------------------------------------------------------


def test_what_cannot_be_seen_is_null_with_an_error(server: GitHubServer) -> None:
    server.hide(MODEL)
    answer = query(
        server,
        '{ a: repository(owner: "demo", name: "model-0001") { id } viewer { login } }',
    )
    assert answer["data"] == {"a": None, "viewer": {"login": "robot"}}
    (error,) = answer["errors"]
    assert (error["type"], error["path"]) == ("NOT_FOUND", ["a"])
    assert call(server, "GET", REPOSITORY).status_code == 404


def test_a_renamed_repository_is_found_by_its_number(server: GitHubServer) -> None:
    number = server.repository(MODEL).id
    server.rename(MODEL, "better")
    answer = call(server, "GET", REPOSITORY)
    assert answer.status_code == 301
    assert answer.headers["Location"].endswith(f"/api/v3/repositories/{number}")
    followed = call(server, "GET", f"/repositories/{number}")
    assert followed.json()["full_name"] == "demo/better"


def test_pages_and_what_is_unchanged(server: GitHubServer, tmp_path: Path) -> None:
    for bare in make_repositories(tmp_path / "demo", 3):
        if bare.stem != "model-0001":
            server.add_repository(f"demo/{bare.stem}", bare)
    first = call(server, "GET", "/orgs/demo/repos?per_page=2&sort=full_name")
    assert [row["name"] for row in first.json()] == ["model-0001", "model-0002"]
    following = first.links["next"]["url"].removeprefix(f"{server.url}/api/v3")
    second = call(server, "GET", following)
    assert [row["name"] for row in second.json()] == ["model-0003"]
    left = server.limits["core"].remaining
    etag = {"If-None-Match": first.headers["ETag"]}
    path = "/orgs/demo/repos?per_page=2&sort=full_name"
    again = call(server, "GET", path, headers=etag)
    assert (again.status_code, again.content) == (304, b"")
    assert server.limits["core"].remaining == left, "a 304 is free"
    server.repository("demo/model-0002").description = "changed"
    assert call(server, "GET", path, headers=etag).status_code == 200


def test_limits_are_kept(server: GitHubServer) -> None:
    server.limits["core"].remaining = 0
    refused = call(server, "GET", REPOSITORY)
    assert refused.status_code == 403
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    server.limits["graphql"].remaining = 0
    assert query(server, "{ viewer { login } }")["errors"][0]["type"] == "RATE_LIMITED"
    server.node_limit = 99
    text = '{ organization(login: "demo") { repositories(first: 100) { totalCount } } }'
    assert query(server, text)["errors"][0]["type"] == "MAX_NODE_LIMIT_EXCEEDED"


def test_an_app_opens_what_it_was_installed_for(server: GitHubServer) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    app = server.add_app("muster", public.decode(), contents="write")
    installation = server.install(app, "demo")

    def ask(issued_by: rsa.RSAPrivateKey, path: str) -> Any:
        now = int(time.time())
        claims = {"iss": str(app), "iat": now - 60, "exp": now + 500}
        token = jwt.encode(claims, issued_by, algorithm="RS256")
        headers = {"Authorization": f"Bearer {token}"}
        method = "POST" if path.endswith("access_tokens") else "GET"
        return call(server, method, path, headers=headers)

    assert ask(key, "/orgs/demo/installation").json()["id"] == installation
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert ask(stranger, "/app").status_code == 401
    granted = ask(key, f"/app/installations/{installation}/access_tokens").json()
    headers = {"Authorization": f"Bearer {granted['token']}"}
    seen = call(server, "GET", "/installation/repositories", headers=headers).json()
    assert [row["full_name"] for row in seen["repositories"]] == [MODEL]


# Faults and the description -----------------------------------------------------------


def test_faults_happen_as_ordered(server: GitHubServer) -> None:
    server.fault("/meta", status=502, body={"message": "bad gateway"})
    server.fault("/meta", reset="before")
    cut = server.fault("/meta", truncate=5)
    assert call(server, "GET", "/meta").status_code == 502
    with pytest.raises(requests.ConnectionError):
        call(server, "GET", "/meta")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        call(server, "GET", "/meta")
    assert call(server, "GET", "/meta").status_code == 200
    assert (cut.hits, server.count("/meta")) == (1, 4)


def test_an_eaten_reply_was_done_all_the_same(server: GitHubServer) -> None:
    store = server.repository(MODEL).store
    body = {"ref": "refs/tags/new", "sha": store.resolve("main")}
    server.fault("POST", eat_reply=True)
    with pytest.raises(requests.ConnectionError):
        call(server, "POST", f"{REPOSITORY}/git/refs", json=body)
    assert "refs/tags/new" in store.refs()
    again = call(server, "POST", f"{REPOSITORY}/git/refs", json=body)
    assert again.json()["message"] == "Reference already exists"


def test_what_does_not_fit_the_description_is_told() -> None:
    assert check_request("DELETE", f"{REPOSITORY}/git/ref/tags/x", {})
    assert check_request("GET", "/orgs/demo/repos", {"sort": "size"})
    assert check_request("POST", f"{REPOSITORY}/git/refs", {}, {"ref": "refs/tags/x"})
    assert not check_request("GET", "/orgs/demo/repos", {"sort": "pushed"})
    assert check_answer("GET", "/orgs/demo/repos", 200, [{"id": 1}])
    assert check_answer("GET", "/orgs/demo/repos", 200, None)
    assert not check_answer("GET", "/orgs/demo/repos", 200, [])
    assert check_query("{ repository(owner: 1) { stars } }")
    assert not check_query('{ repository(owner: "a", name: "b") { isFork } }')
    asked = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert not check_query(asked, {"ids": ["R_1"]})
    assert check_query(asked, {"ids": None})
    assert check_query(asked, {"ids": [], "more": 1})


def test_a_request_github_does_not_know_fails_the_test(tmp_path: Path) -> None:
    server = GitHubServer(tmp_path)
    with pytest.raises(AssertionError, match="no parameter 'sorted'"), serve(server):
        call(server, "GET", "/user/repos?sorted=yes")


# Webhooks -----------------------------------------------------------------------------


class Listener(ApiServer):
    """Whoever is told: it keeps what it got."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.route("POST", "/hook", lambda request: Reply(202))

    def heard(self) -> list[tuple[str, str]]:
        return [
            (r.headers["x-github-event"], r.json.get("ref") or r.json.get("action"))
            for r in self.requests
        ]


@pytest.fixture
def listener(server: GitHubServer, tmp_path: Path) -> Iterator[Listener]:
    """Made known to the server by REST, as Muster does it."""
    listener = Listener(tmp_path)
    with serve(listener):
        body = {
            "name": "web",
            "config": {
                "url": f"{listener.url}/hook",
                "content_type": "json",
                "secret": "s",
            },
            "events": ["push", "create", "delete", "repository"],
        }
        assert call(server, "POST", "/orgs/demo/hooks", json=body).status_code == 201
        server.delivers = True
        yield listener


def test_a_push_is_told_and_signed(server: GitHubServer, listener: Listener) -> None:
    with server.pushing(MODEL):
        store = server.repository(MODEL).store
        store.set_ref("refs/tags/one", store.refs()["refs/tags/model@v1.1.0"])
    assert listener.heard() == [("push", "refs/tags/one"), ("create", "one")]
    first = listener.requests[0]
    signed = hmac.new(b"s", first.body, hashlib.sha256).hexdigest()
    assert first.headers["x-hub-signature-256"] == f"sha256={signed}"


def test_more_than_three_tags_at_once_are_not_told(
    server: GitHubServer, listener: Listener
) -> None:
    with server.pushing(MODEL):
        store = server.repository(MODEL).store
        for number in range(4):
            store.set_ref(f"refs/tags/{number}", store.refs()["refs/heads/main"])
    assert listener.heard() == []


def test_what_happens_to_a_repository_is_told(
    server: GitHubServer, listener: Listener
) -> None:
    server.rename(MODEL, "other")
    server.archive("demo/other")
    server.archive("demo/other", False)
    server.make_private("demo/other", False)
    server.make_private("demo/other")
    server.transfer("demo/other", "robot")
    server.transfer("robot/other", "demo")
    server.delete("demo/other")
    actions = ["renamed", "archived", "unarchived", "publicized", "privatized"]
    # The user it went to has no webhook.
    actions += ["transferred", "deleted"]
    assert listener.heard() == [("repository", action) for action in actions]
