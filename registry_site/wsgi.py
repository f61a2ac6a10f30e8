"""The WSGI application gunicorn serves."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application
from django.db import DatabaseError

GUNICORN_GIVES_UP = 4  # gunicorn starts a worker that ends otherwise again and again

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry_site.settings")
try:
    application = get_wsgi_application()
    from indexer.full_disk import keep_readable

    with suppress(DatabaseError):  # a page says so
        _kept = keep_readable()
except ImproperlyConfigured as error:
    # One sentence, as manage.py gives it, and not two pages of where it was raised.
    print(f"Muster cannot start. {error}", file=sys.stderr, flush=True)
    sys.exit(GUNICORN_GIVES_UP)
