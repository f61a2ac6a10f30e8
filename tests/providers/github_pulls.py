"""Pull requests of the GitHub test server, between branches of one repository."""

from __future__ import annotations

from tests.providers.api_requests import Refusal, Reply, Request
from tests.providers.github_hooks import invalid
from tests.providers.github_payloads import message, node_id
from tests.providers.github_rest import Routes
from tests.providers.github_state import JSON, Pull, Repository, now, stamp


class Pulls(Routes):
    def add(self) -> None:
        self.of_repository("GET", "/pulls", self.listed)
        self.of_repository("POST", "/pulls", self.make)
        self.of_repository("GET", "/pulls/{pull}", self.show)

    def _of(self, row: Repository) -> list[Pull]:
        """Newest first."""
        pulls = self.server.pulls.values()
        return [pull for pull in pulls if pull.repository == row.id][::-1]

    def listed(self, request: Request, row: Repository) -> Reply:
        asked = request.query
        state = asked.get("state", "open")
        head = asked.get("head", "").rpartition(":")[2]
        found = [
            pull
            for pull in self._of(row)
            if state in {"all", pull.state}
            and head in {"", pull.head}
            and asked.get("base", pull.base) == pull.base
        ]
        reply = self.page(request, f"/repositories/{row.id}/pulls", found)
        reply.body = [self._shape(request, row, pull) for pull in reply.body]
        return reply

    def show(self, request: Request, row: Repository) -> Reply:
        number = request["pull"]
        found = (pull for pull in self._of(row) if str(pull.number) == number)
        pull = next(found, None)
        if pull is None:
            return message(404, "Not Found")
        return Reply(200, self._whole(request, row, pull))

    def make(self, request: Request, row: Repository) -> Reply:
        self.need(request, "contents", row)
        asked = request.json if isinstance(request.json, dict) else {}
        owner, colon, head = asked.get("head", "").rpartition(":")
        base = asked.get("base", "")
        refs = row.store.refs("refs/heads/")
        for field, branch in (("head", head), ("base", base)):
            if f"refs/heads/{branch}" not in refs:
                return invalid("PullRequest", f"{field} is not a branch", field)
        if colon and owner != row.owner.login:
            return invalid("PullRequest", "head is of another repository", "head")
        if refs[f"refs/heads/{head}"] == refs[f"refs/heads/{base}"]:
            text = f"No commits between {base} and {head}"
            return invalid("PullRequest", text)
        for pull in self._of(row):
            if (pull.head, pull.base, pull.state) == (head, base, "open"):
                text = f"A pull request already exists for {row.owner.login}:{head}."
                return invalid("PullRequest", text)
        if request.grant is None:
            raise Refusal(message(401, "Requires authentication"))
        pull = Pull(
            next(self.server.ids),
            len(self._of(row)) + 1,
            row.id,
            self.account(request.grant.account),
            asked.get("title", ""),
            asked.get("body"),
            head,
            base,
            is_draft=asked.get("draft", False),
            created_at=now(),
        )
        self.server.pulls[pull.id] = pull
        shown = self._whole(request, row, pull)
        return Reply(201, shown, {"Location": shown["url"]})

    def _side(self, request: Request, row: Repository, branch: str) -> JSON:
        """One of the two branches."""
        return {
            "label": f"{row.owner.login}:{branch}",
            "ref": branch,
            "sha": row.store.refs().get(f"refs/heads/{branch}", "0" * 40),
            "user": self.server.payloads.account(row.owner),
            "repo": self.shape(request, row),
        }

    def _shape(self, request: Request, row: Repository, pull: Pull) -> JSON:
        """As a list shows it."""
        shapes = self.server.payloads
        repository = shapes.repository_url(row)
        head = self._side(request, row, pull.head)
        url = f"{repository}/pulls/{pull.number}"
        page = f"{shapes.url}/{row.path}/pull/{pull.number}"
        issue = f"{repository}/issues/{pull.number}"
        links = {
            "self": url,
            "html": page,
            "issue": issue,
            "comments": f"{issue}/comments",
            "review_comments": f"{url}/comments",
            "review_comment": f"{repository}/pulls/comments{{/number}}",
            "commits": f"{url}/commits",
            "statuses": f"{repository}/statuses/{head['sha']}",
        }
        addresses = {
            f"{name}_url": link
            for name, link in links.items()
            if name not in {"self", "review_comment"}
        }
        return {
            "id": pull.id,
            "node_id": node_id("PR", pull.id),
            "number": pull.number,
            "state": pull.state,
            "locked": False,
            "title": pull.title,
            "body": pull.body,
            "draft": pull.is_draft,
            "user": shapes.account(pull.author),
            "head": head,
            "base": self._side(request, row, pull.base),
            "url": url,
            **addresses,
            "review_comment_url": links["review_comment"],
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "_links": {name: {"href": link} for name, link in links.items()},
            **dict.fromkeys(("closed_at", "merged_at", "merge_commit_sha")),
            **dict.fromkeys(("assignee", "milestone", "auto_merge")),
            **{name: [] for name in ("labels", "assignees", "requested_reviewers")},
            "requested_teams": [],
            "author_association": "MEMBER",
            "created_at": stamp(pull.created_at),
            "updated_at": stamp(pull.created_at),
        }

    def _whole(self, request: Request, row: Repository, pull: Pull) -> JSON:
        counts = ("additions", "deletions", "changed_files", "comments", "commits")
        return {
            **self._shape(request, row, pull),
            **dict.fromkeys((*counts, "review_comments"), 0),
            "merged": False,
            "merged_by": None,
            "mergeable": None,
            "mergeable_state": "unknown",
            "rebaseable": None,
            "maintainer_can_modify": False,
        }
