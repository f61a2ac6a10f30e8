"""Fixtures for every test. What a test needs from the machine: tests/services.py."""

from __future__ import annotations

pytest_plugins = ("tests.services",)
