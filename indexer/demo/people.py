"""Who appears in the demo. All invented."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Persona:
    """A committer and tagger; `offset` is minutes east of UTC on their clock."""

    name: str
    email: str
    offset: int

    @property
    def ident(self) -> str:
        """As Git writes it: name and address."""
        return f"{self.name} <{self.email}>"


MARA = Persona("Mara Lindqvist", "mara.lindqvist@example.com", 60)
TOMAS = Persona("Tomás Ferreira", "tomas.ferreira@example.com", 0)
PRIYA = Persona("Priya Raman", "priya.raman@example.com", 330)
JONAS = Persona("Jonas Weber", "jonas.weber@example.com", 60)
AIKO = Persona("Aiko Tanaka", "aiko.tanaka@example.com", 540)
SADE = Persona("Sade Okafor", "sade.okafor@example.com", 60)
LENA = Persona("Lena Novak", "lena.novak@example.com", 120)
BOT = Persona("release-bot", "release-bot@example.com", 0)
