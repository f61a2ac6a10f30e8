"""The demo: invented repositories with a year of believable history.

Every person and firm in it is invented; addresses end in example.com. Dates count back
from the day of building, so that the newest event is always a day or two old; all else
comes from fixed seeds, so that two builds on one day are equal byte for byte."""

from __future__ import annotations
