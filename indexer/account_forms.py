"""Forms of a person's page. A token is written once: no field renders it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.forms import PasswordChangeForm

from indexer.accounts import (
    MAX_EMAIL,
    MAX_NAME,
    IdentityRefused,
    account_of,
    check_identity,
    keep_identity,
)
from indexer.connection_addresses import WishRefused, parse_place
from indexer.forms import address_field, secret_field, text_field
from indexer.models import ApiToken, Connection, ProviderToken
from indexer.permissions import can_act, can_manage
from indexer.provider_tokens import keep_token, known_server, known_servers

if TYPE_CHECKING:
    from django.contrib.auth.models import User

ANOTHER = {f"another-{kind}": kind for kind in Connection.Kind.values}


class IdentityForm(forms.Form):
    """How a person stands in Git. Who may act must have both."""

    name = text_field("Name", MAX_NAME, "The author of tags and commits.")
    email = forms.EmailField(
        label="E-mail",
        max_length=MAX_EMAIL,
        required=False,
        help_text="Everybody who reads the repository sees it.",
        widget=forms.EmailInput(
            attrs={"class": "form-control", "autocomplete": "email"}
        ),
    )

    def __init__(self, data: Any = None, *, user: User) -> None:
        account = account_of(user)
        super().__init__(data, initial={"name": account.name, "email": account.email})
        self.user = user
        for field in self.fields.values():
            field.required = can_act(user)

    def clean_name(self) -> str:
        return self._checked("name")

    def clean_email(self) -> str:
        return self._checked("email")

    def save(self) -> None:
        keep_identity(self.user, **self.cleaned_data)

    def _checked(self, field: str) -> str:
        try:
            return check_identity(self.cleaned_data[field])
        except IdentityRefused as refusal:
            raise forms.ValidationError(refusal.sentence) from refusal


class PasswordForm(PasswordChangeForm):
    """Django's, with the looks of ours. A password is changed mostly because somebody
    else may know it, who may have made a token with it; and a program that lost
    its token is seen at once, a stranger's token is not. So the person's tokens go too,
    unless they say no."""

    revokes = forms.BooleanField(required=False, initial=True)

    def __init__(
        self, user: User, data: Any = None, *, tokens: Sequence[ApiToken] = ()
    ) -> None:
        super().__init__(user, data)
        if tokens:
            many = f"Revoke my {len(tokens)} API tokens too"
            names = ", ".join(token.name for token in tokens)
            revokes = self.fields["revokes"]
            revokes.label = many if len(tokens) > 1 else "Revoke my API token too"
            revokes.help_text = f"They work without a password: {names}."
            revokes.widget.attrs["class"] = "form-check-input"
        else:
            del self.fields["revokes"]
        self.fields["old_password"].label = "Password you have now"
        self.fields["new_password1"].label = "New password"
        self.fields[
            "new_password1"
        ].help_text = "At least 8 characters; no common one, and not your name."
        self.fields["new_password2"].label = "New password again"
        self.fields["new_password2"].help_text = ""
        for name in ("old_password", "new_password1", "new_password2"):
            self.fields[name].widget.attrs["class"] = "form-control"
        del self.fields["old_password"].widget.attrs["autofocus"]


class ProviderTokenForm(forms.Form):
    """A token, and the one server it is for."""

    server = forms.ChoiceField(
        label="Server", widget=forms.Select(attrs={"class": "form-select"})
    )
    address = address_field(
        "Address of another server",
        500,
        "Only if it is not in the list: https://git.example.com.",
    )
    secret = secret_field("Token", "Kept encrypted and never shown again.")

    def __init__(self, data: Any = None, *, user: User) -> None:
        super().__init__(data)
        self.user = user
        self.fields["secret"].required = True
        self.places = {place.web_url: (kind, place) for kind, place in known_servers()}
        kinds = Connection.Kind
        server = self.fields["server"]
        assert isinstance(server, forms.ChoiceField)  # noqa: S101 - for mypy
        server.choices = [
            *(
                (web, f"{kinds(kind).label}: {web.partition('://')[2]}")
                for web, (kind, _) in self.places.items()
            ),
            *((name, f"Another {kinds(kind).label}") for name, kind in ANOTHER.items()),
        ]

    def save(self) -> ProviderToken | None:
        """Keep it; None, with the reason beside the field, if it is refused."""
        data = self.cleaned_data
        try:
            if data["server"] in ANOTHER:
                kind = ANOTHER[data["server"]]
                if not data["address"]:
                    raise WishRefused("address", "Enter the address of the server.")
                if can_manage(self.user):
                    place = parse_place(kind, data["address"], "")
                    kind, place = self.places.get(place.web_url, (kind, place))
                else:
                    place = known_server(kind, data["address"])
            else:
                kind, place = self.places[data["server"]]
            return keep_token(self.user, kind=kind, place=place, secret=data["secret"])
        except WishRefused as refusal:
            field = refusal.field if refusal.field in self.fields else "address"
            self.add_error(field, refusal.sentence)
        return None
