"""manage.py show: what `gto show` prints, from the index."""

from __future__ import annotations

from typing import Any, cast

from django.core.management.base import CommandParser

from indexer.core.snapshot import Json
from indexer.gto_compat import GtoCommand, show_artifact, show_registry
from indexer.stages import ordered_stages

JsonObject = dict[str, Json]
SHORT = 7  # characters of a commit in a table


class Command(GtoCommand):
    """Show artifacts with their latest version and stages, or one's versions."""

    help = (
        "Show what is in the registry: every artifact of one repository or of all, or "
        "the versions of one artifact (churn, churn@latest, churn#prod)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "-d", "--deprecated", action="store_true", help="also what is deprecated"
        )
        parser.add_argument(
            *("--ro", "--registered-only"),
            dest="registered_only",
            action="store_true",
            help="registered versions only",
        )
        parser.add_argument(
            "--sort",
            choices=["timestamp", "semver"],
            help="which version holds a stage: the one assigned last, or the greatest",
        )
        parser.add_argument(
            *("--vs", "--versions-per-stage"),
            dest="vs",
            type=int,
            help="versions per stage: 1, or -1 for all",
        )
        parser.add_argument(
            *("--av", "--assignments-per-version"),
            dest="av",
            type=int,
            help="stages per version: -1 for all, or 1",
        )
        parser.add_argument(
            "--gto",
            action="store_true",
            help="leave out what only a dvc.yaml declares: gto does not read it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = self.wanted(options)
        self.tell_of_gone(wanted)
        if wanted.name:
            versions = show_artifact(wanted)
            if options["json"]:
                self.print_json(versions)
            else:
                self._print_versions([cast(JsonObject, one) for one in versions])
            return
        registry = show_registry(wanted)
        if options["json"]:
            self.print_json(registry)
        else:
            self._print_registry(
                {name: cast(JsonObject, one) for name, one in registry.items()},
                everywhere=wanted.repository is None,
            )

    def _print_registry(
        self, registry: dict[str, JsonObject], *, everywhere: bool
    ) -> None:
        if not registry:
            self.stdout.write(
                "There is nothing to show: no GTO tag, and no artifact in dvc.yaml or "
                "artifacts.yaml, has been seen."
            )
            return
        stages = list(
            dict.fromkeys(
                stage
                for entry in registry.values()
                for stage in cast(JsonObject, entry["stage"])
            )
        )
        if everywhere:
            stages = ordered_stages(stages)
        rows = []
        for key, entry in sorted(registry.items()):
            name = str(entry.get("artifact", key))
            held = cast(JsonObject, entry["stage"])
            row = [str(entry["repository"])] if everywhere else []
            row.append(name if entry["registered"] else f"*{name}")
            row.append(_short(entry["version"]))
            row += [_short(held.get(stage)) for stage in stages]
            rows.append(row)
        head = ["repository"] if everywhere else []
        head += ["name", "latest", *(f"#{stage}" for stage in stages)]
        self.print_table(head, rows)

    def _print_versions(self, versions: list[JsonObject]) -> None:
        if not versions:
            self.stdout.write(
                "There is no such version: it is deprecated (see -d), or has no tag."
            )
            return
        columns = ["artifact", "version", "stage", "created_at", "ref"]
        if "repository" in versions[0]:
            columns.insert(0, "repository")
        rows = []
        for version in versions:
            stages = [
                str(cast(JsonObject, stage)["stage"])
                for stage in cast(list[Json], version["stages"])
            ]
            shown = version | {"stage": ", ".join(dict.fromkeys(stages))}
            rows.append([_short(shown[column]) for column in columns])
        self.print_table(columns, rows)


def _short(value: Json) -> str:
    """Commits cut to seven characters, as gto does; "-" for none."""
    if not value:
        return "-"
    return ", ".join(
        part[:SHORT] if len(part) in (40, 64) and part.isalnum() else part
        for part in str(value).split(", ")
    )
