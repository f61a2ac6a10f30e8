"""What `make bench` measures: speed and size, as ratios of one run on one machine."""

from __future__ import annotations
