"""Settings: all from the environment, and a working local site without any.

Three ways to run:

- *embedded* (no DEBUG in the environment): what `make run` gives. No debug pages;
  the secret is made once and kept in the data directory; SQLite, a broker in files.
- *development* (DEBUG=True): the same with Django's debug pages.
- *production* (DEBUG=False): nothing is guessed; a missing secret refuses to start.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from registry_site.environment import Environment
from registry_site.kept_files import kept

env = Environment()
BASE_DIR = Path(__file__).resolve().parent.parent


def secret(name: str) -> str:
    """The value of NAME, or the content of the file that NAME_FILE names; "" if
    neither is set."""
    path = env.text(f"{name}_FILE", "")
    if not path:
        return env.text(name, "")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE: {error}") from error


def kept_secret(path: Path) -> str:
    """A secret of this installation; an empty one, of a disk that was full, is made
    again."""
    try:
        with suppress(FileNotFoundError):
            if not path.read_text(encoding="utf-8").strip():
                path.unlink()
        return kept(path, lambda: secrets.token_urlsafe(50))
    except OSError as error:
        raise ImproperlyConfigured(
            f"The data directory {path.parent} cannot be used ({error.strerror}). "
            "Mend it, or set MUSTER_DATA to another."
        ) from error


# Where we run --------------------------------------------------------------------
DEBUG = env.flag("DEBUG", False)
EMBEDDED = DEBUG or "DEBUG" not in os.environ
HOST = env.text("HOST", "127.0.0.1")
PORT = env.whole("PORT", 8000)
if PORT > 65535:
    raise ImproperlyConfigured(f"PORT is {PORT}; a port is a number up to 65535.")
LOOPBACK = HOST in {"127.0.0.1", "::1", "localhost"}
# Processes of `manage.py up`.
MUSTER_WEB_WORKERS = env.whole("MUSTER_WEB_WORKERS", 2)
MUSTER_WORKERS = env.whole("MUSTER_WORKERS", 2)  # crawls at once
MUSTER_DEMO = env.flag("MUSTER_DEMO", EMBEDDED)  # offered at the first start
MUSTER_DATA = Path(
    os.path.expanduser(env.text("MUSTER_DATA", str(BASE_DIR / "var")))
).resolve()

SECRET_KEY = secret("SECRET_KEY")
if not SECRET_KEY:
    if not EMBEDDED:
        raise ImproperlyConfigured(
            "SECRET_KEY is missing. With DEBUG=False set SECRET_KEY (or "
            "SECRET_KEY_FILE) to a long random string."
        )
    SECRET_KEY = kept_secret(MUSTER_DATA / "secret_key")
# Encrypt stored credentials (indexer/crypto.py): the first encrypts, all decrypt.
MUSTER_ENCRYPTION_KEYS = [
    key.strip() for key in secret("MUSTER_ENCRYPTION_KEYS").split(",") if key.strip()
]
ALLOWED_HOSTS = env.texts(
    "ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"] if EMBEDDED else []
)
if not ALLOWED_HOSTS:
    raise ImproperlyConfigured(
        "ALLOWED_HOSTS is missing. With DEBUG=False set it to the names this site is "
        "reached by, separated by commas."
    )
CSRF_TRUSTED_ORIGINS = env.texts("CSRF_TRUSTED_ORIGINS", [])

# What may be done ----------------------------------------------------------------
# Who may read without signing in: everybody on this machine, or nobody.
MUSTER_PUBLIC_READ = env.flag("MUSTER_PUBLIC_READ", EMBEDDED and LOOPBACK)
# Paths of this machine, and addresses that are not public (all, none, or those of
# some networks), as remotes.
MUSTER_ALLOW_LOCAL = env.flag("MUSTER_ALLOW_LOCAL", EMBEDDED)
MUSTER_ALLOW_PRIVATE = env.networks("MUSTER_ALLOW_PRIVATE", EMBEDDED)
MUSTER_CRAWL_INTERVAL = timedelta(seconds=env.whole("MUSTER_CRAWL_INTERVAL", 300))
# Of a connection: how often its provider is asked what was pushed to; how often for all
# its repositories; and the longest that one is not looked at by itself, because a
# provider sends no event for more than three tags pushed at once.
MUSTER_POLL_INTERVAL = timedelta(seconds=env.whole("MUSTER_POLL_INTERVAL", 300))
MUSTER_DISCOVERY_INTERVAL = timedelta(
    seconds=env.whole("MUSTER_DISCOVERY_INTERVAL", 3600)
)
MUSTER_RECONCILE_INTERVAL = timedelta(
    seconds=env.whole("MUSTER_RECONCILE_INTERVAL", 86400)
)
# Where a provider reaches this site with its webhooks: https://muster.example.org.
MUSTER_PUBLIC_URL = env.text("MUSTER_PUBLIC_URL", "").rstrip("/")
# How often the scheduler wakes workers for what is owed; a wake-up counts as lost
# after twice that.
MUSTER_WAKE_INTERVAL = timedelta(seconds=env.number("MUSTER_WAKE_INTERVAL", 30, 0.1))
# How long a worker may be silent before another takes over its crawl.
MUSTER_LEASE = timedelta(seconds=env.whole("MUSTER_LEASE", 45))
MUSTER_READINGS = ("time", "semver", "several", "kanban")
MUSTER_READING = env.choice("MUSTER_READING", "time", MUSTER_READINGS)

# Django --------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "template_partials",
    "csp",
    "indexer",
]
# django-ninja is no installed app: importing it takes a fifth of a second, which every
# command would pay. The addresses of the API import it, and its page to try the API
# (indexer/api/v1.py) finds template, style and scripts here.
_ninja = find_spec("ninja")
if _ninja is None or _ninja.origin is None:
    raise ImproperlyConfigured("django-ninja is not installed. Run `make run`.")
NINJA_DIR = Path(_ninja.origin).parent
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "registry_site.middleware.security_headers",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "indexer.plain_text.PlainText",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "registry_site.urls"
WSGI_APPLICATION = "registry_site.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates", NINJA_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "dashboard"
LANGUAGE_CODE = "en"
TIME_ZONE = env.text("TIME_ZONE", "UTC")
try:
    ZoneInfo(TIME_ZONE)
except (ZoneInfoNotFoundError, ValueError, OSError) as error:
    raise ImproperlyConfigured(
        f"TIME_ZONE is {TIME_ZONE!r}; it is a name such as Europe/Lisbon."
    ) from error
USE_I18N = False
USE_TZ = True

# Data ----------------------------------------------------------------------------
DATABASE_URL = secret("DATABASE_URL") or f"sqlite:///{MUSTER_DATA / 'muster.sqlite3'}"
try:
    DATABASES: dict[str, Any] = {"default": dj_database_url.parse(DATABASE_URL)}
except ValueError as error:
    # The address may hold a password, so it is not shown.
    raise ImproperlyConfigured(
        "DATABASE_URL is no address of a database, such as "
        "postgres://user:password@host:5432/name."
    ) from error
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        # Web, worker and scheduler write at once: readers never wait in WAL, and a
        # transaction that begins IMMEDIATE waits its turn instead of failing.
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": (
            "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;"
            "PRAGMA cache_size=-20000;PRAGMA temp_store=MEMORY;"
        ),
    }
    DATABASES["default"].setdefault("TEST", {})["NAME"] = str(
        MUSTER_DATA / f"test-{os.getpid()}.sqlite3"
    )
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)

# Background work: the database is the job list, the queue a wake-up ------------------
CELERY_BROKER_URL = secret("CELERY_BROKER_URL") or "filesystem://localhost/"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
    {
        "data_folder_in": str(MUSTER_DATA / "queue"),
        "data_folder_out": str(MUSTER_DATA / "queue"),
        "control_folder": str(MUSTER_DATA / "queue-control"),
        "store_processed": False,
        "polling_interval": 0.2,
    }
    if CELERY_BROKER_URL.startswith("filesystem:")
    else {
        # Longer than the hard time limit, or a task would run twice at once.
        "visibility_timeout": 3600,
        "unacked_restore_throttle": 1,
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 15,
    }
)
if CELERY_BROKER_URL.startswith("filesystem:"):
    # Orders to workers are broadcasts, which files are slow and untidy at.
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
# Of a worker, for its health check: touched whenever a task begins.
MUSTER_ALIVE_FILE = env.text("MUSTER_ALIVE_FILE", "")
CELERY_WORKER_DIRECT = bool(MUSTER_ALIVE_FILE)  # a queue for each worker alone
# Beat keeps no file: each entry is due a first time one interval after the start.
CELERY_BEAT_SCHEDULE: dict[str, Any] = {
    "wake workers for what is owed": {
        "task": "muster.enqueue_due",
        "schedule": MUSTER_WAKE_INTERVAL,
    },
    "go on with actions": {
        "task": "muster.act",
        "schedule": MUSTER_WAKE_INTERVAL,
    },
    "tidy up": {"task": "muster.tidy", "schedule": 3600.0},
}
CELERY_WORKER_MAX_TASKS_PER_CHILD = 200
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 400_000  # kilobytes, looked at between tasks
CELERY_TASK_IGNORE_RESULT = True
# Acknowledged when it arrives. The job list is in the database, so a late one would
# save nothing, and a worker that has to acknowledge over a connection that broke
# meanwhile ends for good (Celery 5.7 with a Redis that restarts during a task).
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SOFT_TIME_LIMIT = 540
CELERY_TASK_TIME_LIMIT = 600
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"

# Static files ----------------------------------------------------------------------
STATIC_URL = "/static/"
# Collected when an image is built; on one machine they are served as they lie.
STATIC_ROOT = None if EMBEDDED else BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static", NINJA_DIR / "static"]
WHITENOISE_USE_FINDERS = EMBEDDED
WHITENOISE_ALLOW_ALL_ORIGINS = False  # no other site has a use for them
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if EMBEDDED
            else "whitenoise.storage.CompressedManifestStaticFilesStorage"
        )
    },
}

# Safety ------------------------------------------------------------------------------
HTTPS = env.flag("HTTPS", not EMBEDDED)  # the site is reached over TLS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-sessionid" if HTTPS else "muster_sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if HTTPS else "muster_csrftoken"
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = HTTPS and env.flag("HTTPS_REDIRECT", True)
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SECURE_HSTS_SECONDS = 31536000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
TRUST_PROXY = env.flag("TRUST_PROXY", False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUST_PROXY else None
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
PASSWORD_HASHERS = ["indexer.password_hashing.BoundedHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": name}
    for name in (
        "django.contrib.auth.password_validation.MinimumLengthValidator",
        "django.contrib.auth.password_validation.CommonPasswordValidator",
        "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "indexer.password_rules.NameIsNoPassword",
        "indexer.password_rules.TokensToldOf",
    )
]

LOG_LEVEL = env.choice("LOG_LEVEL", "WARNING", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
}
