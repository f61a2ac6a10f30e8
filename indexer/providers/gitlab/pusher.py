"""Tags written to GitLab as Git writes them: pushed, with the tagger and the date that
were ordered. GitLab's API would date them by its own clock, which may be behind the
artifact's last event; it is asked only where Git over HTTP is closed."""

from __future__ import annotations

import time

from indexer.core.snapshot import GitTag
from indexer.providers.base import Listing, Remote
from indexer.providers.errors import Refused
from indexer.providers.git.writer import GitTagWriter
from indexer.providers.gitlab.client import GitLabClient
from indexer.providers.gitlab.writer import NO_GIT, GitLabTagWriter
from indexer.providers.writing import TagOrder

AHEAD = 2  # seconds that an order's date may be ahead of now, for an API that dates


class GitLabPusher:
    """Writes tags of one repository as the user of the token, by a push."""

    def __init__(self, remote: Remote, client: GitLabClient) -> None:
        self._git = GitTagWriter(remote)
        self._api = GitLabTagWriter(remote, client)

    def refs(self) -> Listing:
        """The refs as they are now."""
        return self._api.refs()

    def read_tag(self, name: str) -> GitTag | None:
        """What is there under this name now; None if there is nothing."""
        return self._api.read_tag(name)

    def write_tag(self, order: TagOrder) -> GitTag:
        """Write the tag; see writing.TagWriter. Over the API its tagger and date are
        GitLab's."""
        try:
            return self._git.write_tag(order)
        except NO_GIT:
            if order.at.seconds > time.time() + AHEAD:
                raise Refused(
                    "GitLab lets this token write no tag over Git, and over its API a "
                    "tag cannot have the date it needs, "
                    f"{order.at.utc:%Y-%m-%d %H:%M:%S} UTC: the model's last event is "
                    "dated then. Wait until then, or give the token the scope "
                    "write_repository."
                ) from None
            return self._api.write_tag(order)
