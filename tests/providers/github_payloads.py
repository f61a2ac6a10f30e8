"""GitHub's REST answers: rows and Git objects as JSON."""

from __future__ import annotations

import base64
from typing import Any

from tests.providers.api_requests import Reply
from tests.providers.github_messages import (
    commit_message,
    person,
    tag_message,
    verification,
)
from tests.providers.github_state import (
    JSON,
    Account,
    App,
    Conventions,
    Hook,
    Installation,
    Repository,
    stamp,
)
from tests.providers.object_store import GitObject, kind_of, text

TRUNCATED_AT = 1_000_000  # bytes of a file that `contents` gives
MAX_TREE = 7_000_000  # of a tree with all in it
DOCUMENTATION = "https://docs.github.com/rest"
REPOSITORY_URLS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}


class Payloads:
    """Shapes JSON for a server at `url`."""

    def __init__(self, url: str, conventions: Conventions) -> None:
        self.url = url
        self.api = f"{url}/api/v3"
        self.conventions = conventions

    def account(self, account: Account) -> JSON:
        """A "simple user", which organisations are too."""
        user = f"{self.api}/users/{account.login}"
        return {
            "login": account.login,
            "id": account.id,
            "node_id": node_id(account.type[0], account.id),
            "avatar_url": f"{self.url}/avatars/u/{account.id}",
            "gravatar_id": "",
            "url": user,
            "html_url": f"{self.url}/{account.login}",
            "followers_url": f"{user}/followers",
            "following_url": f"{user}/following{{/other_user}}",
            "gists_url": f"{user}/gists{{/gist_id}}",
            "starred_url": f"{user}/starred{{/owner}}{{/repo}}",
            "subscriptions_url": f"{user}/subscriptions",
            "organizations_url": f"{user}/orgs",
            "repos_url": f"{user}/repos",
            "events_url": f"{user}/events{{/privacy}}",
            "received_events_url": f"{user}/received_events",
            "type": account.type,
            "site_admin": False,
        }

    def owner(self, account: Account) -> JSON:
        """An organisation or a user as a webhook names one."""
        if account.kind != "org":
            return self.account(account)
        shown = self.organisation(account, 0)
        names = ("login", "id", "node_id", "url", "repos_url", "events_url")
        more = ("hooks_url", "issues_url", "members_url", "public_members_url")
        last = ("avatar_url", "description")
        return {name: shown[name] for name in (*names, *more, *last)}

    def user(self, account: Account, repositories: int) -> JSON:
        return {
            **self.account(account),
            **_profile(account, repositories),
            "hireable": None,
            "bio": None,
        }

    def organisation(self, account: Account, repositories: int) -> JSON:
        org = f"{self.api}/orgs/{account.login}"
        profile = {**_profile(account, repositories), "email": "hello@example.org"}
        profile |= {"company": "", "location": ""}  # never null here
        return {
            "login": account.login,
            "id": account.id,
            "node_id": node_id("O", account.id),
            "url": org,
            "repos_url": f"{org}/repos",
            "events_url": f"{org}/events",
            "hooks_url": f"{org}/hooks",
            "issues_url": f"{org}/issues",
            "members_url": f"{org}/members{{/member}}",
            "public_members_url": f"{org}/public_members{{/member}}",
            "avatar_url": f"{self.url}/avatars/u/{account.id}",
            "html_url": f"{self.url}/{account.login}",
            "description": None,
            "type": "Organization",
            "has_organization_projects": True,
            "has_repository_projects": True,
            "archived_at": None,
            **profile,
        }

    def repository(self, row: Repository, *, admin: bool, push: bool) -> JSON:
        """A "full repository", which fits where a smaller one is promised."""
        base = self.repository_url(row)
        return {
            "id": row.id,
            "node_id": node_id("R", row.id),
            "name": row.name,
            "full_name": row.path,
            "private": row.is_private,
            "owner": self.account(row.owner),
            "html_url": f"{self.url}/{row.path}",
            "description": row.description,
            "fork": row.is_fork,
            "url": base,
            **{key: base + path for key, path in REPOSITORY_URLS.items()},
            "git_url": f"git:{self.url.partition(':')[2]}/{row.path}.git",
            "ssh_url": f"git@127.0.0.1:{row.path}.git",
            "clone_url": f"{self.url}/{row.path}.git",
            "svn_url": f"{self.url}/{row.path}",
            "mirror_url": None,
            "homepage": None,
            "language": None,
            **{f"{name}_count": 0 for name in ("forks", "stargazers", "watchers")},
            **dict.fromkeys(("forks", "watchers", "open_issues"), 0),
            **dict.fromkeys(("subscribers_count", "network_count"), 0),
            "size": 0 if not row.store.refs() else 128,
            "open_issues_count": 0,
            "default_branch": row.store.default_branch,
            "is_template": False,
            "topics": [],
            **{f"has_{name}": True for name in ("issues", "projects", "wiki")},
            "has_pages": False,
            "has_downloads": True,
            "has_discussions": False,
            "archived": row.is_archived,
            "disabled": row.is_disabled,
            "visibility": "private" if row.is_private else "public",
            "pushed_at": stamp(row.pushed_at),
            "created_at": stamp(row.created_at),
            "updated_at": stamp(row.updated_at),
            "license": None,
            "allow_forking": True,
            "web_commit_signoff_required": False,
            "permissions": {
                "admin": admin,
                "maintain": admin,
                "push": push,
                "triage": push,
                "pull": True,
            },
        }

    def repository_url(self, row: Repository) -> str:
        return f"{self.api}/repos/{row.path}"

    def ref(self, row: Repository, ref: str, oid: str) -> JSON:
        """The address holds the ref as it is, `#` and all, as GitHub's does."""
        base = self.repository_url(row)
        found = row.store.get(oid)
        kind = found.kind if found else "commit"
        return {
            "ref": ref,
            "node_id": node_id("REF", f"{row.id}:{ref}"),
            "url": f"{base}/git/{ref}",
            "object": {"type": kind, "sha": oid, "url": f"{base}/git/{kind}s/{oid}"},
        }

    def tag(self, row: Repository, found: GitObject) -> JSON:
        base = self.repository_url(row)
        target, kind = found.header("object"), found.header("type")
        return {
            "node_id": node_id("TA", found.oid),
            "sha": found.oid,
            "url": f"{base}/git/tags/{found.oid}",
            "tagger": person(found.person("tagger")),
            "object": {
                "sha": target,
                "type": kind,
                "url": f"{base}/git/{kind}s/{target}",
            },
            "tag": found.header("tag"),
            "message": tag_message(found, self.conventions),
            "verification": verification(found),
        }

    def git_commit(self, row: Repository, found: GitObject) -> JSON:
        base = self.repository_url(row)
        tree = found.header("tree")
        return {
            "sha": found.oid,
            "node_id": node_id("C", found.oid),
            "url": f"{base}/git/commits/{found.oid}",
            "html_url": f"{self.url}/{row.path}/commit/{found.oid}",
            "author": person(found.person("author")),
            "committer": person(found.person("committer")),
            "tree": {"sha": tree, "url": f"{base}/git/trees/{tree}"},
            "message": commit_message(found, self.conventions),
            "parents": [
                {
                    "sha": parent,
                    "url": f"{base}/git/commits/{parent}",
                    "html_url": f"{self.url}/{row.path}/commit/{parent}",
                }
                for parent in found.parents
            ],
            "verification": verification(found),
        }

    def commit(self, row: Repository, found: GitObject) -> JSON:
        """As `commits` gives it, with the Git commit inside."""
        base = self.repository_url(row)
        inner = self.git_commit(row, found)
        for key in ("sha", "node_id", "html_url", "parents"):
            inner.pop(key)
        parents = [
            {
                "sha": parent,
                "url": f"{base}/commits/{parent}",
                "html_url": f"{self.url}/{row.path}/commit/{parent}",
            }
            for parent in found.parents
        ]
        return {
            "sha": found.oid,
            "node_id": node_id("C", found.oid),
            "commit": {**inner, "comment_count": 0},
            "url": f"{base}/commits/{found.oid}",
            "html_url": f"{self.url}/{row.path}/commit/{found.oid}",
            "comments_url": f"{base}/commits/{found.oid}/comments",
            "author": None,
            "committer": None,
            "parents": parents,
        }

    def tree(self, row: Repository, oid: str, *, deep: bool, limit: int) -> JSON:
        """A tree, with the trees in it if `deep`, cut at `limit` entries and at 7 MB
        (docs.github.com/en/rest/git/trees)."""
        base = self.repository_url(row)
        listed = row.store.walk(oid) if deep else row.store.get(oid).entries()  # type: ignore[union-attr]
        entries: list[JSON] = []
        truncated = False
        size = 0
        for mode, path, child in listed:
            size += len(path) + len(base) + 150
            if len(entries) == limit or size > MAX_TREE:
                truncated = True
                break
            kind = kind_of(mode)
            entry: JSON = {
                "path": text(path),
                "mode": f"{mode:06o}",
                "type": kind,
                "sha": child,
            }
            if kind != "commit":
                entry["url"] = f"{base}/git/{kind}s/{child}"
            if kind == "blob":
                found = row.store.get(child)
                entry["size"] = len(found.data) if found else 0
            entries.append(entry)
        return {
            "sha": oid,
            "url": f"{base}/git/trees/{oid}",
            "tree": entries,
            "truncated": truncated,
        }

    def blob(self, row: Repository, found: GitObject) -> JSON:
        base = self.repository_url(row)
        return {
            "sha": found.oid,
            "node_id": node_id("B", found.oid),
            "size": len(found.data),
            "url": f"{base}/git/blobs/{found.oid}",
            "content": base64.encodebytes(found.data).decode(),
            "encoding": "base64",
        }

    def content(
        self, row: Repository, path: str, ref: str, entry: tuple[int, str]
    ) -> JSON:
        """A file or folder at a path, as `contents` lists it."""
        mode, oid = entry
        kind = kind_of(mode)
        base = self.repository_url(row)
        found = row.store.get(oid)
        here = f"{base}/contents/{path}?ref={ref}"
        git = f"{base}/git/{kind}s/{oid}"
        page = f"{self.url}/{row.path}/{kind}/{ref}/{path}"
        names = {"tree": "dir", "commit": "submodule", "blob": "file"}
        raw = f"{self.url}/raw/{row.path}/{ref}/{path}" if kind == "blob" else None
        return {
            "name": path.rpartition("/")[2],
            "path": path,
            "sha": oid,
            "size": len(found.data) if found and kind == "blob" else 0,
            "url": here,
            "html_url": page,
            "git_url": git,
            "download_url": raw,
            "type": names[kind],
            "_links": {"self": here, "git": git, "html": page},
        }

    def file(self, row: Repository, path: str, ref: str, oid: str) -> JSON:
        found = row.store.get(oid)
        assert found is not None
        small = len(found.data) <= TRUNCATED_AT
        data = base64.encodebytes(found.data).decode() if small else ""
        return {
            **self.content(row, path, ref, (0o100644, oid)),
            "content": data,
            "encoding": "base64" if small else "none",
        }

    def hook(self, hook: Hook, base: str) -> JSON:
        """A webhook below `base`, its repository's or organisation's address."""
        url = f"{base}/hooks/{hook.id}"
        shown: JSON = {
            "type": "Repository" if hook.repository else "Organization",
            "id": hook.id,
            "name": "web",
            "active": hook.is_active,
            "events": hook.events,
            "config": {
                "url": hook.url,
                "content_type": hook.content_type,
                "insecure_ssl": hook.insecure_ssl,
                **({"secret": "********"} if hook.secret else {}),
            },
            "updated_at": stamp(hook.created_at),
            "created_at": stamp(hook.created_at),
            "url": url,
            "ping_url": f"{url}/pings",
            "deliveries_url": f"{url}/deliveries",
        }
        if hook.repository:
            shown["test_url"] = f"{url}/tests"
            shown["last_response"] = {"code": None, "status": "unused", "message": None}
        return shown

    def app(self, app: App) -> JSON:
        return {
            "id": app.id,
            "slug": app.slug,
            "node_id": node_id("A", app.id),
            "client_id": f"Iv1.{app.id}",
            "owner": self.account(app.owner),
            "name": app.slug,
            "description": None,
            "external_url": "https://muster.example.org",
            "html_url": f"{self.url}/github-apps/{app.slug}",
            "created_at": stamp(app.created_at),
            "updated_at": stamp(app.created_at),
            "permissions": app.permissions,
            "events": app.events,
        }

    def installation(self, row: Installation) -> JSON:
        url = f"{self.api}/app/installations/{row.id}"
        suspended = row.is_suspended
        return {
            "id": row.id,
            "account": self.account(row.account),
            "repository_selection": "all" if row.repositories is None else "selected",
            "access_tokens_url": f"{url}/access_tokens",
            "repositories_url": f"{self.api}/installation/repositories",
            "html_url": f"{self.url}/settings/installations/{row.id}",
            "app_id": row.app.id,
            "app_slug": row.app.slug,
            "target_id": row.account.id,
            "target_type": row.account.type,
            "permissions": row.permissions,
            "events": row.app.events,
            "created_at": stamp(row.created_at),
            "updated_at": stamp(row.created_at),
            "single_file_name": None,
            "suspended_by": None,
            "suspended_at": stamp(row.created_at) if suspended else None,
        }


def _profile(account: Account, repositories: int) -> JSON:
    return {
        "name": account.login.title(),
        "company": None,
        "blog": "https://example.org",
        "location": None,
        "email": None,
        "public_repos": repositories,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": "2020-01-01T00:00:00Z",
        "updated_at": "2020-01-01T00:00:00Z",
    }


def node_id(kind: str, value: object) -> str:
    """The id of GraphQL and of REST's `node_id`."""
    return f"{kind}_" + base64.urlsafe_b64encode(str(value).encode()).decode()


def message(status: int, text: str, **more: Any) -> Reply:
    """An answer in GitHub's words."""
    body = {
        "message": text,
        "documentation_url": DOCUMENTATION,
        "status": str(status),
        **more,
    }
    return Reply(status, body)
