"""T9: every legal name has one address, and the address leads back to it."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from django.urls import resolve, reverse
from hypothesis import example, given
from hypothesis import strategies as st

from indexer.page_addresses import artifact_path, escape_name, unescape_name

segments = st.from_regex(r"\A[A-Za-z0-9._-]{1,12}\Z").filter(
    lambda segment: segment not in {"-", ".", ".."}
)
repositories = st.lists(segments, min_size=1, max_size=3).map("/".join)
artifacts = st.one_of(
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1
    ),
    st.text(alphabet="ab/@-.%:# ?&+=v1", min_size=1, max_size=12),
)
versions = st.one_of(
    st.from_regex(r"\Av[0-9]\.[0-9]\.[0-9](-[a-z0-9.-]{1,8})?(\+[a-z0-9.-]{1,8})?\Z"),
    st.text(alphabet="0123456789abcdef", min_size=40, max_size=40),
    st.text(alphabet="0123456789abcdef", min_size=64, max_size=64),
)


def as_served(address: str) -> str:
    """The path as a server decodes it, once, and only the path."""
    assert address.isascii()
    return unquote(urlsplit(address).path)


@given(repositories, artifacts)
@example("a/b", "churn@v1.0.0")
@example("a/b", "a/-/b@v1.0.0")
@example("a/b", "a%2Fb")
@example("a/b", "../../admin/")
@example("a", "//evil.example")
@example("a", "m@v1.0.0<script>alert(1)</script>")
@example("add", "x\n")
def test_T9_an_artifact_has_one_address(repository: str, artifact: str) -> None:
    for name in ("artifact", "history"):
        address = reverse(name, args=(repository, artifact))
        match = resolve(as_served(address))
        assert match.url_name == name
        assert match.kwargs == {"repository": repository, "artifact": artifact}


@given(repositories, artifacts, versions)
@example("a/b", "x@v2.0.0", "v1.0.0")
def test_T9_a_version_has_one_address(
    repository: str, artifact: str, version: str
) -> None:
    match = resolve(as_served(reverse("version", args=(repository, artifact, version))))
    assert match.url_name == "version"
    assert match.kwargs == {
        "repository": repository,
        "artifact": artifact,
        "version": version,
    }


@given(repositories, artifacts, versions)
def test_T9_the_fast_address_is_the_reversed_one(
    repository: str, artifact: str, version: str
) -> None:
    assert artifact_path(repository, artifact) == reverse(
        "artifact", args=(repository, artifact)
    )
    assert artifact_path(repository, artifact, version) == reverse(
        "version", args=(repository, artifact, version)
    )


@given(artifacts)
def test_T9_no_browser_folds_an_address(artifact: str) -> None:
    """`.`, `..` and empty segments would be taken out before the server sees them."""
    parts = escape_name(artifact).split("/")
    assert not {"", ".", ".."} & set(parts)
    assert unescape_name("/".join(parts)) == artifact


@given(repositories)
@example("add")
@example("add/-x")
def test_T9_a_repository_has_one_address(repository: str) -> None:
    for name in (
        "repository",
        "crawl_status",
        "repository_crawl",
        "repository_edit",
        "repository_remove",
    ):
        match = resolve(as_served(reverse(name, args=(repository,))))
        assert match.url_name == name
        assert match.kwargs == {"repository": repository}


def test_an_address_typed_by_hand_works() -> None:
    match = resolve("/models/acme/churn/-/churn@v1.0.0")
    assert match.kwargs == {
        "repository": "acme/churn",
        "artifact": "churn",
        "version": "v1.0.0",
    }
    assert resolve("/models/a/-/odd@name").kwargs["artifact"] == "odd@name"
