from __future__ import annotations

import pytest

from indexer.providers.links import HostKind, commit_url, file_url, host_kind, tag_url

WEB = "https://example.org/o/r"


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("github.com", HostKind.GITHUB),
        ("github.example.org", HostKind.GITHUB),
        ("gitlab.com", HostKind.GITLAB),
        ("gitlab-ce.example.org", HostKind.GITLAB),
        ("codeberg.org", HostKind.GITEA),
        ("bitbucket.org", HostKind.BITBUCKET),
        ("notgithub.com", HostKind.OTHER),
        ("", HostKind.OTHER),
    ],
)
def test_a_host_is_known_by_its_name(host: str, kind: HostKind) -> None:
    assert host_kind(host) is kind


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("github", f"{WEB}/releases/tag/a/churn%23prod%233"),
        ("gitlab", f"{WEB}/-/tags/a/churn%23prod%233"),
        ("gitea", f"{WEB}/src/tag/a/churn%23prod%233"),
        ("bitbucket", f"{WEB}/src/a/churn%23prod%233"),
        ("git", ""),
        ("nonsense", ""),
    ],
)
def test_a_tag_with_a_hash_leads_to_itself(kind: str, url: str) -> None:
    assert tag_url(WEB, kind, "a/churn#prod#3") == url


def test_commits_and_files_have_pages() -> None:
    assert commit_url(WEB, "github", "abc") == f"{WEB}/commit/abc"
    assert file_url(WEB, "gitlab", "abc", "a b/x?.yaml") == (
        f"{WEB}/-/blob/abc/a%20b/x%3F.yaml"
    )


def test_X7_only_web_addresses_become_links() -> None:
    for web in ("", "javascript:alert(1)", "ssh://git@example.org/x", "/etc"):
        assert commit_url(web, "github", "abc") == ""
