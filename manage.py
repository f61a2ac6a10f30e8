#!/usr/bin/env python3
"""Muster's command line: every administrative task starts here."""

from __future__ import annotations

import gc
import io
import os
import sys


def main() -> None:
    """Run one management command. A setting that is wrong is one sentence."""
    if sys.version_info < (3, 11):  # noqa: UP036
        sys.exit(
            "Muster needs Python 3.11 or later; this is %s." % sys.version.split()[0]  # noqa: UP031
        )
    # A terminal that cannot show “…” or a name shows "?" instead of a traceback.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    # A start makes many objects and no garbage; looking for some takes a tenth of it.
    gc.set_threshold(50_000, 20, 20)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry_site.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
        from django.db import OperationalError, ProgrammingError
    except ImportError:
        sys.exit(
            "Django is not installed here. Run `make run`, or use the Python of the "
            "virtual environment: .venv/bin/python manage.py …"
        )
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Muster cannot start. {error}")
    except (OperationalError, ProgrammingError) as error:  # no server, no tables
        if "--traceback" in sys.argv:
            raise
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        sys.exit(
            f"The database cannot be used: {said}. If it is new or older than this "
            "Muster, run: manage.py migrate"
        )


if __name__ == "__main__":
    main()
