"""Forms: they clean what people type; `indexer.repositories` decides what is done."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings

from indexer.models import Repository
from indexer.providers.errors import ProviderError

def _readings() -> list[tuple[str, str]]:
    default = Repository.ReadingChoice(settings.MUSTER_READING).label
    return [("", f"The site’s default ({default.lower()})")] + list(
        Repository.ReadingChoice.choices
    )


class AddRepositoryForm(forms.Form):
    """A repository to connect. The token is written once and never shown again."""

    url = forms.CharField(label="Address", max_length=2000)
    name = forms.CharField(label="Name", max_length=200, required=False)
    username = forms.CharField(label="User name", max_length=200, required=False)
    secret = forms.CharField(label="Token or password", max_length=4000, required=False)
    reading = forms.ChoiceField(label="Stages", choices=_readings, required=False)

    def save(self, *, by: str) -> Repository | None:
        """Add it; None, with the reason beside the field, if it is refused."""
        from indexer.repositories import add_repository

        data: dict[str, Any] = self.cleaned_data
        try:
            return add_repository(
                data["url"],
                name=data["name"],
                username=data["username"],
                secret=data["secret"],
                reading=data["reading"],
                by=by,
            )
        except ProviderError as refusal:
            self.add_error("url", refusal.sentence)
            return None


class EditRepositoryForm(forms.Form):
    """How a connected repository is read. An empty token keeps the one there is."""

    url = forms.CharField(label="Address", max_length=2000)
    username = forms.CharField(label="User name", max_length=200, required=False)
    secret = forms.CharField(label="New token", max_length=4000, required=False)
    forget_secret = forms.BooleanField(label="Forget the token", required=False)
    reading = forms.ChoiceField(label="Stages", choices=_readings, required=False)
    is_enabled = forms.BooleanField(label="Crawl it on schedule", required=False)

    def __init__(self, data: Any = None, *, repository: Repository) -> None:
        super().__init__(
            data,
            initial={
                "url": repository.url,
                "username": repository.username,
                "reading": repository.reading,
                "is_enabled": repository.is_enabled,
            },
        )
        self.repository = repository

    def save(self, *, by: str) -> bool:
        """Change it; False, with the reason beside the field, if it is refused."""
        from indexer.repositories import change_repository

        data: dict[str, Any] = self.cleaned_data
        secret: str | None = data["secret"] or None
        if data["forget_secret"]:
            secret = ""
        try:
            change_repository(
                self.repository,
                url=data["url"],
                username=data["username"],
                secret=secret,
                reading=data["reading"],
                is_enabled=data["is_enabled"],
                by=by,
            )
        except ProviderError as refusal:
            self.add_error("url", refusal.sentence)
            return False
        return True
