"""Commands to copy: how to get a model, see it in gto, or register one. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from indexer.models import Annotation, Artifact, Repository, Version


@dataclass(frozen=True, slots=True)
class Command:
    """What a command does, and the command, safe to paste into a shell."""

    does: str
    text: str


def _line(*words: str) -> str:
    """The words as one shell line; "" where one could not be pasted safely: a control
    or direction character shows as something else than it is."""
    if all(word.isprintable() for word in words):
        return " ".join(shlex.quote(word) for word in words)
    return ""


def _kept(*commands: tuple[str, str]) -> list[Command]:
    return [Command(does, text) for does, text in commands if text]


def tag_name(artifact: str) -> str:
    """An artifact's name as it begins a Git tag: `dir:name` is written `dir=name`."""
    return artifact.replace(":", "=")


def get_commands(
    repository: Repository,
    artifact: Artifact,
    version: Version | None,
    annotation: Annotation | None,
) -> list[Command]:
    """Ways to get the files of a version and to look at it. DVC's commands need an
    annotation with a path at the version's commit."""
    url, name = repository.url, artifact.name
    rev = version.name if version and version.is_registered else ""
    ref = (version.ref or version.commit_id) if version else repository.default_branch
    path = annotation.path if annotation else ""
    if path.startswith("-"):  # else DVC takes it for an option
        path = f"./{path}"
    by_rev = ("--rev", rev) if rev else ()
    commands: list[tuple[str, str]] = []
    if path:
        if annotation and annotation.source.endswith("dvc.yaml"):
            commands.append(
                (
                    "Download by name, with DVC",
                    _line("dvc", "artifacts", "get", url, name, *by_rev),
                )
            )
        commands.append(
            (
                "Download the file, with DVC",
                _line("dvc", "get", "--rev", ref, url, path)
                if ref
                else _line("dvc", "get", url, path),
            )
        )
    if version and version.is_registered and artifact.is_registered:
        commands.append(
            ("See it in gto", _line("gto", "show", f"{name}@{rev}", "--repo", url))
        )
    elif artifact.is_registered:
        commands.append(("See it in gto", _line("gto", "show", name, "--repo", url)))
    if ref:
        folder = repository.name.rpartition("/")[2]
        clone = _line("git", "clone", url, folder)
        checkout = _line("git", "-C", folder, "checkout", ref)
        if clone and checkout:
            commands.append(("Check out its code", f"{clone}\n{checkout}"))
    return _kept(*commands)


def register_commands(artifact: Artifact) -> list[Command]:
    """How to register the first version of an artifact."""
    tag = f"{tag_name(artifact.name)}@v0.0.1"
    return _kept(
        (
            "Register a version with gto",
            _line("gto", "register", artifact.name, "--push"),
        ),
        (
            "Or with Git alone: push an annotated tag",
            f"{_line('git', 'tag', '-a', tag, '-m', 'First version')}\n"
            f"{_line('git', 'push', 'origin', tag)}",
        ),
    )


def assign_commands(artifact: Artifact, version: str, stage: str) -> list[Command]:
    """How to give a version a stage."""
    words = ("gto", "assign", artifact.name, "--version", version, "--stage", stage)
    return _kept((f"Assign {stage} with gto", _line(*words, "--push")))
