"""Addresses of the indexer's pages. Which name has which: `indexer.page_addresses`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, register_converter

from indexer.page_addresses import (
    ArtifactConverter,
    RepositoryConverter,
    VersionConverter,
)
from indexer.views import (
    account,
    action_log,
    actions,
    api_tokens,
    artifacts,
    connections,
    dashboard,
    favicon,
    file_actions,
    health,
    history,
    hooks,
    repositories,
)

register_converter(RepositoryConverter, "repository")
register_converter(ArtifactConverter, "artifact")
register_converter(VersionConverter, "version")

urlpatterns: list[URLPattern | URLResolver] = [
    path("", dashboard.dashboard, name="dashboard"),
    path("first-crawls", dashboard.first_crawls, name="first_crawls"),
    path(
        "models/<repository:repository>/-/<artifact:artifact>@<version:version>",
        artifacts.artifact,
        name="version",
    ),
    path(
        "models/<repository:repository>/-/<artifact:artifact>",
        artifacts.artifact,
        name="artifact",
    ),
    path(
        "history/<repository:repository>/-/<artifact:artifact>",
        history.artifact_history,
        name="history",
    ),
    path("act/commits/<repository:repository>", actions.commits, name="act_commits"),
    path(
        "act/at/<repository:repository>/-/<artifact:artifact>",
        actions.at_commit,
        name="act_at",
    ),
    path("act/add", file_actions.add_where, name="act_add_where"),
    path("act/add/<repository:repository>", file_actions.add, name="act_add"),
    path(
        "act/edit/<repository:repository>/-/<artifact:artifact>",
        file_actions.edit,
        name="act_edit",
    ),
    path("act/state/<uuid:uuid>", actions.state, name="action_state"),
    path(
        "act/<slug:verb>/<repository:repository>/-/<artifact:artifact>",
        actions.act,
        name="act",
    ),
    path("activity", history.activity, name="activity"),
    path("actions", action_log.actions, name="actions"),
    path("repositories", repositories.repositories, name="repositories"),
    path("repositories/add", repositories.add, name="repository_add"),
    path(
        "repositories/<repository:repository>/",
        repositories.repository,
        name="repository",
    ),
    path(
        "repositories/<repository:repository>/-/status",
        repositories.crawl_status,
        name="crawl_status",
    ),
    path(
        "repositories/<repository:repository>/-/crawl",
        repositories.crawl,
        name="repository_crawl",
    ),
    path(
        "repositories/<repository:repository>/-/edit",
        repositories.edit,
        name="repository_edit",
    ),
    path(
        "repositories/<repository:repository>/-/remove",
        repositories.remove,
        name="repository_remove",
    ),
    path("connections", connections.connections, name="connections"),
    path("connections/add/<slug:kind>", connections.add, name="connection_add"),
    path("connections/<uuid:uuid>/", connections.connection, name="connection"),
    path(
        "connections/<uuid:uuid>/review", connections.review, name="connection_review"
    ),
    path(
        "connections/<uuid:uuid>/connect",
        connections.connect,
        name="connection_connect",
    ),
    path(
        "connections/<uuid:uuid>/discard",
        connections.discard,
        name="connection_discard",
    ),
    path("connections/<uuid:uuid>/look", connections.look, name="connection_look"),
    path(
        "connections/<uuid:uuid>/hook",
        connections.hook_secret,
        name="connection_hook",
    ),
    path("connections/<uuid:uuid>/edit", connections.edit, name="connection_edit"),
    path(
        "connections/<uuid:uuid>/remove", connections.remove, name="connection_remove"
    ),
    path("account", account.account, name="account"),
    path("account/password", account.password, name="account_password"),
    path("account/providers/add", account.provider_add, name="account_provider_add"),
    path(
        "account/providers/<uuid:uuid>/test",
        account.provider_test,
        name="account_provider_test",
    ),
    path(
        "account/providers/<uuid:uuid>/remove",
        account.provider_remove,
        name="account_provider_remove",
    ),
    path("account/tokens", api_tokens.api_tokens, name="api_tokens"),
    path(
        "account/tokens/<uuid:uuid>/revoke",
        api_tokens.api_token_revoke,
        name="api_token_revoke",
    ),
    path("hooks/github/<uuid:uuid>", hooks.github, name="hook_github"),
    path("hooks/gitlab/<uuid:uuid>", hooks.gitlab, name="hook_gitlab"),
    path("api/v1/", include("indexer.api.urls")),
    path("favicon.ico", favicon.favicon, name="favicon"),
    path("healthz", health.healthz, name="healthz"),
]
