"""Forms: they clean what people type; `indexer.repositories` decides what is done."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings

from indexer.models import Connection, Repository
from indexer.providers.addresses import without_credential
from indexer.providers.errors import ProviderError
from indexer.repositories import (
    NameRefused,
    add_repository,
    change_connected_repository,
    change_repository,
)


def _readings() -> list[tuple[str, str]]:
    default = Repository.ReadingChoice(settings.MUSTER_READING).label
    return [
        ("", f"The site’s default ({default.lower()})"),
        *Repository.ReadingChoice.choices,
    ]


def text_field(
    label: str, longest: int, help_text: str, *, required: bool = False, **attrs: str
) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=longest,
        required=required,
        help_text=help_text,
        widget=forms.TextInput(
            attrs={"class": "form-control", "autocomplete": "off"} | attrs
        ),
    )


class AddressInput(forms.TextInput):
    """A refused address is shown again, but never the credential in it."""

    def format_value(self, value: Any) -> str | None:
        shown: str | None = super().format_value(value)
        return shown and without_credential(shown)


def address_field(
    label: str, longest: int, help_text: str, *, required: bool = False
) -> forms.CharField:
    """A field for an address, which people paste with a credential in it."""
    field = text_field(
        label,
        longest,
        help_text,
        required=required,
        spellcheck="false",
        autocapitalize="none",
    )
    field.widget = AddressInput(attrs=field.widget.attrs)
    return field


def secret_field(label: str, help_text: str) -> forms.CharField:
    """A field that is written and never rendered with its value."""
    return forms.CharField(
        label=label,
        max_length=4000,
        required=False,
        help_text=help_text,
        widget=forms.PasswordInput(
            attrs={"class": "form-control", "autocomplete": "new-password"}
        ),
    )


def _ask_again(form: forms.Form, url: str) -> None:
    """Say that a credential in a refused address is to be entered once more."""
    if "@" in url and without_credential(url) != url.strip():
        form.add_error(
            "secret", "The token in the address is not shown again. Enter it here."
        )


class AddRepositoryForm(forms.Form):
    """A repository to connect. The token is written once and never shown again."""

    url = address_field(
        "Address",
        2000,
        "Any Git remote: https://github.com/owner/name, git@host:owner/name.git, or, "
        "where this site allows it, a path of its machine.",
        required=True,
    )
    name = text_field(
        "Name in the catalog", 200, "Such as owner/name. Empty: from the address."
    )
    reading = forms.ChoiceField(
        label="How stages are read",
        choices=_readings,
        required=False,
        help_text="Who holds a stage when several versions were assigned to it.",
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    username = text_field(
        "User name", 200, "For a token of GitHub or GitLab: leave it empty."
    )
    secret = secret_field("Token or password", "Kept encrypted and never shown again.")

    def save(self, *, by: str) -> Repository | None:
        """Add it; None, with the reason beside the field, if it is refused."""
        data: dict[str, Any] = self.cleaned_data
        url: str = data["url"]
        try:
            return add_repository(
                url,
                name=data["name"],
                username=data["username"],
                secret=data["secret"],
                reading=data["reading"],
                by=by,
            )
        except NameRefused as refusal:
            self.add_error("name", refusal.sentence)
        except ProviderError as refusal:
            self.add_error("url", refusal.sentence)
        _ask_again(self, url)
        return None


class EditRepositoryForm(forms.Form):
    """How a connected repository is read. An empty token keeps the one there is."""

    url = address_field("Address", 2000, "", required=True)
    reading = forms.ChoiceField(
        label="How stages are read",
        choices=_readings,
        required=False,
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    username = text_field("User name", 200, "")
    secret = secret_field("New token or password", "Empty: the one there is stays.")
    forget_secret = forms.BooleanField(
        label="Forget the token or password there is", required=False
    )
    is_enabled = forms.BooleanField(
        label="Crawl it every few minutes and by its button", required=False
    )

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
        data: dict[str, Any] = self.cleaned_data
        url: str = data["url"]
        secret: str | None = data["secret"] or None
        if data["forget_secret"]:
            secret = ""
        try:
            change_repository(
                self.repository,
                url=url,
                username=data["username"],
                secret=secret,
                reading=data["reading"],
                is_enabled=data["is_enabled"],
                by=by,
            )
        except ProviderError as refusal:
            self.add_error("url", refusal.sentence)
            _ask_again(self, url)
            return False
        return True


class EditConnectedForm(forms.Form):
    """How a repository of a connection is read: its address and its token are the
    connection's."""

    way = forms.ChoiceField(
        label="How to read",
        choices=[("", "As its connection says"), *Connection.Way.choices],
        required=False,
        help_text="Over the API nothing is cloned; a mirror is a bare copy.",
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    reading = forms.ChoiceField(
        label="How stages are read",
        choices=_readings,
        required=False,
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    is_enabled = forms.BooleanField(
        label="Read it when it changes and by its button", required=False
    )

    def __init__(self, data: Any = None, *, repository: Repository) -> None:
        super().__init__(
            data,
            initial={
                "way": repository.way,
                "reading": repository.reading,
                "is_enabled": repository.is_enabled,
            },
        )
        self.repository = repository

    def save(self, *, by: str) -> bool:
        """Change it; always so."""
        data: dict[str, Any] = self.cleaned_data
        change_connected_repository(
            self.repository,
            way=data["way"],
            reading=data["reading"],
            is_enabled=data["is_enabled"],
            by=by,
        )
        return True
