"""The form of a connection, and how it is removed; `indexer.connections` decides what
is done. A token is written once: no field renders it again."""

from __future__ import annotations

from typing import Any

from django import forms

from indexer.connection_addresses import HOME
from indexer.connections import (
    MAX_SECRET,
    Wish,
    change_connection,
    draft_connection,
)
from indexer.forms import address_field, secret_field, text_field
from indexer.models import Connection
from indexer.providers.errors import AddressRefused

OWNER = {
    Connection.Kind.GITHUB: "Organisation or user",
    Connection.Kind.GITLAB: "Group or user",
}
LONGEST_PATTERNS = 10_000


class HiddenText(forms.Textarea):
    """Several lines that are written and never rendered with their value."""

    def format_value(self, value: Any) -> str:
        return ""


class ConnectionForm(forms.Form):
    """What to connect, by which right, and what of it to take."""

    address = address_field("Address", 500, "")
    owner = address_field(
        "", 500, "Its name, such as acme, or the address of its page."
    )
    secret = secret_field("Token", "Kept encrypted and never shown again.")
    app_id = text_field("App ID", 40, "A number, on the page of the app.")
    app_key = forms.CharField(
        label="Private key of the app",
        max_length=MAX_SECRET,
        required=False,
        help_text="All of the .pem file. Kept encrypted and never shown again.",
        widget=HiddenText(
            attrs={
                "class": "form-control code-input",
                "rows": 4,
                "autocomplete": "off",
                "spellcheck": "false",
            }
        ),
    )
    include = forms.CharField(
        label="Only these repositories",
        max_length=LONGEST_PATTERNS,
        required=False,
        help_text="Patterns, one a line: ml-*, acme/churn. Empty: all.",
        widget=forms.Textarea(
            attrs={"class": "form-control code-input", "rows": 2, "spellcheck": "false"}
        ),
    )
    exclude = forms.CharField(
        label="But not these",
        max_length=LONGEST_PATTERNS,
        required=False,
        help_text="Patterns, one a line: *-sandbox.",
        widget=forms.Textarea(
            attrs={"class": "form-control code-input", "rows": 2, "spellcheck": "false"}
        ),
    )
    with_forks = forms.BooleanField(label="Forks too", required=False)
    with_archived = forms.BooleanField(label="Archived ones too", required=False)
    with_subgroups = forms.BooleanField(label="Sub-groups too", required=False)
    way = forms.ChoiceField(
        label="How to read",
        choices=Connection.Way.choices,
        help_text=(
            "Over the API: nothing is cloned. Through a mirror: Git alone, with a bare "
            "copy of each on Muster’s disk."
        ),
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    shares_writing = forms.BooleanField(
        label="Editors without a token of their own may write with this one",
        required=False,
        help_text="Who asked then stands in the tag and in its message "
        "(Requested-by). Leave it off, and everybody writes with their own token, so "
        "that the provider’s own rights and protected-tag rules decide.",
    )
    with_hooks = forms.BooleanField(
        label="Make webhooks where the token allows it",
        required=False,
        help_text=(
            "A push is then in the catalog within seconds. Without them Muster asks "
            "every few minutes."
        ),
    )

    def __init__(
        self,
        data: Any = None,
        *,
        kind: Connection.Kind,
        connection: Connection | None = None,
    ) -> None:
        super().__init__(data, initial=_initial(connection))
        self.kind = kind
        self.connection = connection
        self.fields["owner"].label = OWNER[kind]
        self.fields[
            "address"
        ].help_text = (
            f"Empty: {HOME[kind]}. Of a server of your own: https://git.example.com."
        )
        if kind == Connection.Kind.GITHUB:
            del self.fields["with_subgroups"]
        else:
            del self.fields["app_id"], self.fields["app_key"]
        if connection is not None and connection.secret:
            is_app = connection.credential == Connection.Credential.APP
            kept = self.fields["app_key" if is_app else "secret"]
            kept.label = "New private key" if is_app else "New token"
            kept.help_text = "Empty: the one there is stays."

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        app_id, key = data.get("app_id", ""), data.get("app_key", "")
        token = data.get("secret", "")
        there = self.connection
        kept = there.credential if there is not None and there.secret else ""
        if app_id and token:
            self.add_error(
                "app_id", "Give a token or a GitHub App, not both. Empty one of them."
            )
        elif app_id and not key and kept != Connection.Credential.APP:
            self.add_error("app_key", "Paste the private key of the app.")
        elif key and not app_id:
            self.add_error("app_id", "Say which app the private key belongs to.")
        elif not app_id and not token and kept != Connection.Credential.TOKEN:
            self.add_error("secret", "Paste a token. “Which token?” says which one.")
        if not (app_id or data.get("owner") or data.get("address")) and not (
            {"owner", "address"} & set(self.errors)
        ):
            self.add_error("owner", "Say whose repositories to connect.")
        return data

    def save(self, *, by: str) -> Connection | None:
        """Store a draft, or change the connection there is; None, with the reason
        beside the field, if it is refused."""
        try:
            if self.connection is None:
                return draft_connection(self._wish(), by=by)
            change_connection(self.connection, self._wish(), by=by)
        except AddressRefused as refusal:
            self.add_error(self._field_of(refusal), refusal.sentence)
            return None
        return self.connection

    def _field_of(self, refusal: AddressRefused) -> str | None:
        """Where a refusal is shown: its field, or above all of them."""
        field = getattr(refusal, "field", "address")
        if field == "secret" and self.cleaned_data.get("app_id"):
            field = "app_key"
        return field if field in self.fields else None

    def _wish(self) -> Wish:
        data: dict[str, Any] = self.cleaned_data
        app_id = data.get("app_id", "")
        same_app = self.connection is not None and self.connection.app_id == app_id
        return Wish(
            kind=self.kind,
            address=data["address"],
            owner=data["owner"],
            secret=(data.get("app_key") if app_id else data["secret"]) or None,
            app_id=app_id,
            installation_id=(
                self.connection.installation_id if self.connection and same_app else ""
            ),
            include=data["include"],
            exclude=data["exclude"],
            with_forks=data["with_forks"],
            with_archived=data["with_archived"],
            with_subgroups=data.get("with_subgroups", True),
            way=data["way"],
            with_hooks=data["with_hooks"],
            shares_writing=data["shares_writing"],
        )


def _initial(connection: Connection | None) -> dict[str, Any]:
    if connection is None:
        return {"with_archived": True, "with_subgroups": True, "with_hooks": True}
    return {
        "address": connection.web_url,
        "owner": connection.owner,
        "app_id": connection.app_id,
        "include": connection.include,
        "exclude": connection.exclude,
        "with_forks": connection.with_forks,
        "with_archived": connection.with_archived,
        "with_subgroups": connection.with_subgroups,
        "way": connection.way,
        "with_hooks": connection.with_hooks,
        "shares_writing": connection.shares_writing,
    }


class RemoveConnectionForm(forms.Form):
    """What becomes of its repositories."""

    repositories = forms.ChoiceField(
        label="Its repositories",
        choices=[
            ("keep", "Keep them in the catalog as they are"),
            ("remove", "Remove them from the catalog too"),
        ],
        initial="keep",
        widget=forms.RadioSelect,
    )
