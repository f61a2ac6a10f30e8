"""The WSGI application gunicorn serves."""

from __future__ import annotations

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

GUNICORN_GIVES_UP = 4  # gunicorn starts a worker that ends otherwise again and again

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry_site.settings")
try:
    application = get_wsgi_application()
except ImproperlyConfigured as error:
    # One sentence, as manage.py gives it, and not two pages of where it was raised.
    print(f"Muster cannot start. {error}", file=sys.stderr, flush=True)
    sys.exit(GUNICORN_GIVES_UP)
