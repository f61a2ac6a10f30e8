"""What the GitHub test server lets a token write: Git objects, refs, files."""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import Any

from tests.providers.api_requests import Refusal, Reply, Request
from tests.providers.github_hooks import invalid
from tests.providers.github_payloads import message
from tests.providers.github_rest import Routes
from tests.providers.github_state import JSON, Repository, now
from tests.providers.object_store import kind_of

REF = re.compile(r"refs/(?!/)(?:(?!\.\.|@\{|//|\.lock(?:/|$))[^\x00-\x20~^:?*\[\\])+")


class Writes(Routes):
    def add(self) -> None:
        of = self.of_repository
        of("POST", "/git/tags", self.make_tag)
        of("POST", "/git/refs", self.make_ref)
        of("PATCH", "/git/refs/{ref:path}", self.move_ref)
        of("DELETE", "/git/refs/{ref:path}", self.delete_ref)
        of("POST", "/git/blobs", self.make_blob)
        of("POST", "/git/trees", self.make_tree)
        of("POST", "/git/commits", self.make_commit)
        of("PUT", "/contents/{path:path}", self.put_file)

    def _asked(self, request: Request, row: Repository, *names: str) -> JSON:
        """The body, with all of these in it, from a token that may write."""
        self.need(request, "contents", row)
        if row.is_archived:
            text = "Repository was archived so is read-only."
            raise Refusal(message(403, text))
        if not isinstance(request.json, dict):
            raise Refusal(message(400, "Problems parsing JSON"))
        asked: JSON = request.json
        missing = [f'"{name}" wasn\'t supplied.' for name in names if name not in asked]
        if missing:
            text = "Invalid request.\n\n" + "\n".join(missing)
            raise Refusal(message(422, text))
        return asked

    def _line(self, request: Request, given: Any) -> str:
        """`Name <email> seconds offset`, of who is named, else of the token."""
        login = request.grant.account if request.grant else "ghost"
        who = given if isinstance(given, dict) else {}
        when = who.get("date")
        date = datetime.fromisoformat(when) if when else now()
        name = who.get("name", login)
        email = who.get("email", f"{login}@users.noreply.github.com")
        return f"{name} <{email}> {int(date.timestamp())} {date:%z}"

    # Objects --------------------------------------------------------------------------

    def make_tag(self, request: Request, row: Repository) -> Reply:
        asked = self._asked(request, row, "tag", "message", "object", "type")
        target = row.store.get(asked["object"])
        if target is None or target.kind != asked["type"]:
            return message(422, f"Could not verify object {asked['object']}")
        tagger = self._line(request, asked.get("tagger"))
        text = asked["message"]
        if self.server.strips_messages:
            text = text.rstrip("\n")
        elif not text.endswith("\n"):
            text += "\n"
        data = (
            f"object {target.oid}\ntype {target.kind}\ntag {asked['tag']}\n"
            f"tagger {tagger}\n\n{text}"
        )
        return self._written(row, "tag", data.encode())

    def make_blob(self, request: Request, row: Repository) -> Reply:
        asked = self._asked(request, row, "content")
        data = asked["content"].encode()
        if asked.get("encoding") == "base64":
            data = base64.b64decode(asked["content"])
        oid = row.store.write("blob", data)
        base = self.server.payloads.repository_url(row)
        return Reply(201, {"sha": oid, "url": f"{base}/git/blobs/{oid}"})

    def make_tree(self, request: Request, row: Repository) -> Reply:
        asked = self._asked(request, row, "tree")
        tree = asked.get("base_tree") or ""
        for entry in asked["tree"]:
            oid = entry.get("sha")
            if "content" in entry:
                oid = row.store.write("blob", entry["content"].encode())
            mode = int(entry.get("mode", "100644"), 8)
            tree = put(row, tree, entry["path"].encode(), mode, oid)
        shown = self.server.payloads.tree(row, tree, deep=False, limit=100_000)
        return Reply(201, shown)

    def make_commit(self, request: Request, row: Repository) -> Reply:
        asked = self._asked(request, row, "message", "tree")
        author = self._line(request, asked.get("author"))
        committer = self._line(request, asked.get("committer") or asked.get("author"))
        parents = asked.get("parents", [])
        for kind, oid in [("tree", asked["tree"]), *(("commit", p) for p in parents)]:
            found = row.store.get(oid)
            if found is None or found.kind != kind:
                return message(422, f"{kind.title()} SHA does not exist")
        data = commit_bytes(asked["tree"], parents, author, committer, asked["message"])
        return self._written(row, "commit", data)

    def _written(self, row: Repository, kind: str, data: bytes) -> Reply:
        found = row.store.get(row.store.write(kind, data))
        assert found is not None
        shapes = self.server.payloads
        shape = shapes.tag if kind == "tag" else shapes.git_commit
        shown = shape(row, found)
        return Reply(201, shown, {"Location": shown["url"]})

    # Refs -----------------------------------------------------------------------------

    def make_ref(self, request: Request, row: Repository) -> Reply:
        asked = self._asked(request, row, "ref", "sha")
        ref = asked["ref"]
        if not REF.fullmatch(ref) or ref.count("/") < 2:
            return message(422, "Reference name is not valid")
        if ref in row.store.refs():
            return message(422, "Reference already exists")
        if row.store.get(asked["sha"]) is None:
            return message(422, "Object does not exist")
        return self._set(row, ref, asked["sha"], 201)

    def move_ref(self, request: Request, row: Repository) -> Reply:
        asked = self._asked(request, row, "sha")
        ref = f"refs/{request['ref']}"
        old = row.store.refs().get(ref)
        if old is None:
            return message(422, "Reference does not exist")
        if row.store.get(asked["sha"]) is None:
            return message(422, "Object does not exist")
        behind = old in set(row.store.history(asked["sha"]))
        if not asked.get("force") and not behind:
            return message(422, "Update is not a fast forward")
        return self._set(row, ref, asked["sha"], 200)

    def _set(self, row: Repository, ref: str, oid: str, status: int) -> Reply:
        row.store.set_ref(ref, oid)
        self.server.touch(row.path, later=True)
        return Reply(status, self.server.payloads.ref(row, ref, oid))

    def delete_ref(self, request: Request, row: Repository) -> Reply:
        self.need(request, "contents", row)
        ref = f"refs/{request['ref']}"
        if ref not in row.store.refs():
            return message(422, "Reference does not exist")
        row.store.delete_ref(ref)
        self.server.touch(row.path, later=True)
        return Reply(204)

    # Files ----------------------------------------------------------------------------

    def put_file(self, request: Request, row: Repository) -> Reply:
        asked = self._asked(request, row, "message", "content")
        branch = asked.get("branch") or row.store.default_branch
        path = request["path"]
        head = row.store.refs().get(f"refs/heads/{branch}")
        if head is None and row.store.refs():
            return message(404, f"Branch {branch} not found")
        old = row.store.entry(head, path) if head else None
        if old and not asked.get("sha"):
            return invalid("Content", 'Invalid request.\n\n"sha" wasn\'t supplied.')
        if asked.get("sha") and (old is None or asked["sha"] != old[1]):
            return message(409, f"{path} does not match {asked['sha']}")
        blob = row.store.write("blob", base64.b64decode(asked["content"]))
        base = row.store.peel(head, "tree") if head else ""
        tree = put(row, base or "", path.encode(), 0o100644, blob)
        author = self._line(request, asked.get("author"))
        committer = self._line(request, asked.get("committer") or asked.get("author"))
        parents = [head] if head else []
        data = commit_bytes(tree, parents, author, committer, asked["message"])
        oid = row.store.write("commit", data)
        row.store.set_ref(f"refs/heads/{branch}", oid)
        self.server.touch(row.path, later=True)
        found = row.store.get(oid)
        assert found is not None
        shapes = self.server.payloads
        body = {
            "content": shapes.content(row, path, branch, (0o100644, blob)),
            "commit": shapes.git_commit(row, found),
        }
        return Reply(200 if old else 201, body)


def commit_bytes(
    tree: str, parents: list[str], author: str, committer: str, text: str
) -> bytes:
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
    lines += [f"author {author}", f"committer {committer}", "", text]
    return "\n".join(lines).encode()


def put(row: Repository, tree: str, path: bytes, mode: int, oid: str | None) -> str:
    """The tree with this at the path (None: taken away); its id."""
    found = row.store.get(tree) if tree else None
    entries = {name: (m, o) for m, name, o in (found.entries() if found else ())}
    name, slash, rest = path.partition(b"/")
    if slash:
        below = entries.get(name)
        base = below[1] if below and kind_of(below[0]) == "tree" else ""
        entries[name] = (0o040000, put(row, base, rest, mode, oid))
    elif oid is None:
        entries.pop(name, None)
    else:
        entries[name] = (mode, oid)
    ordered = sorted(
        entries.items(),
        key=lambda e: e[0] + (b"/" if kind_of(e[1][0]) == "tree" else b""),
    )
    data = b"".join(
        f"{m:o} ".encode() + name + b"\0" + bytes.fromhex(o) for name, (m, o) in ordered
    )
    return row.store.write("tree", data)
