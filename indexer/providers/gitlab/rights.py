"""What a token may do at GitLab, from its scopes and its role, in sentences.

https://docs.gitlab.com/user/profile/personal_access_tokens/#personal-access-token-scopes
https://docs.gitlab.com/user/permissions/"""

from __future__ import annotations

from indexer.providers.base import Ability, Owner, OwnerKind, Right

DEVELOPER, MAINTAINER, OWNER = 30, 40, 50
ROLES = {
    0: "none",
    5: "Minimal Access",
    10: "Guest",
    15: "Planner",
    20: "Reporter",
    30: "Developer",
    40: "Maintainer",
    50: "Owner",
}
UNTOLD = (
    "GitLab does not say which scopes the token has, so this cannot be told without "
    "trying."
)


def describe_rights(
    scopes: frozenset[str] | None, level: int | None, owner: Owner | None
) -> tuple[Right, ...]:
    """A right for each ability. `scopes` None: GitLab does not say; `level` None: the
    role in the group is not known, or there is no owner yet."""
    return (
        _read(scopes, level, owner),
        _write(scopes, level, Ability.TAGS, DEVELOPER, "make and delete tags"),
        _write(scopes, level, Ability.CONTENTS, DEVELOPER, "commit files"),
        _write(scopes, level, Ability.HOOKS, MAINTAINER, "make webhooks"),
    )


def _read(
    scopes: frozenset[str] | None, level: int | None, owner: Owner | None
) -> Right:
    if scopes is None:
        return Right(Ability.READ, None, UNTOLD)
    if not scopes & {"api", "read_api"}:
        return Right(
            Ability.READ,
            False,
            "The token has neither the scope read_api nor api, so it may list nothing. "
            "Make one with read_api and read_repository.",
        )
    if not scopes & {"api", "read_repository", "write_repository"}:
        return Right(
            Ability.READ,
            True,
            "It may list and read repositories, but not over Git: who made a tag then "
            "stays unknown. Give the token read_repository as well.",
        )
    if level == 0 and owner is not None and owner.kind is OwnerKind.GROUP:
        return Right(
            Ability.READ,
            True,
            f"It may read, but is no member of {owner.path}: it sees public "
            "repositories only.",
        )
    return Right(Ability.READ, True, f"The token has {_listed(scopes)}.")


def _write(
    scopes: frozenset[str] | None,
    level: int | None,
    ability: Ability,
    least: int,
    to: str,
) -> Right:
    role = ROLES[least]
    if scopes is None:
        return Right(ability, None, UNTOLD)
    if "api" not in scopes:
        return Right(
            ability,
            False,
            f"To {to}, the token needs the scope api; it has not got it.",
        )
    if level is None:
        return Right(
            ability,
            None,
            f"The scope is there; to {to}, it needs at least the {role} role as well, "
            "which cannot be told without trying.",
        )
    has = ROLES.get(level, f"level {level}")
    if level < least:
        return Right(
            ability, False, f"To {to}, it needs at least the {role} role; it has {has}."
        )
    more = ""
    if ability is Ability.TAGS and level < MAINTAINER:
        more = " Tags that are protected may need the Maintainer role."
    if ability is Ability.HOOKS and level < OWNER:
        more = " A webhook of a whole group needs the Owner role and GitLab Premium."
    return Right(ability, True, f"It has the scope api and the role {has}.{more}")


def _listed(scopes: frozenset[str]) -> str:
    return f"the scope{'s' * (len(scopes) > 1)} {', '.join(sorted(scopes))}"
