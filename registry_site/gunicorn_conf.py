"""gunicorn's settings, the same wherever it is started:

    gunicorn --config python:registry_site.gunicorn_conf registry_site.wsgi

What is given on the command line goes before them."""

from __future__ import annotations

import os
from pathlib import Path

from registry_site.environment import Environment

_env = Environment()
_host = _env.text("HOST", "127.0.0.1")
bind = (
    f"[{_host}]:{_env.whole('PORT', 8000)}"
    if ":" in _host
    else (f"{_host}:{_env.whole('PORT', 8000)}")
)
workers = _env.whole("MUSTER_WEB_WORKERS", 2)
worker_class = "registry_site.web_server.BufferingWorker"
threads = 8  # answers made at once by a worker
worker_connections = 1000  # of a worker; over it the oldest that do nothing are let go
keepalive = 75  # seconds a client may keep a connection that it does not use
timeout = 60  # seconds a worker's loop may hang before another takes its place
graceful_timeout = 20  # seconds answers may take when a worker ends
sendfile = False  # the loop sends
control_socket_disable = True
# In production a line for each request; `make run` writes none.
accesslog = "-" if "DEBUG" in os.environ and not _env.flag("DEBUG", False) else None
# Which proxy is believed TRUST_PROXY decides, in Django alone.
forwarded_allow_ips = ""
if Path("/dev/shm").is_dir():  # noqa: S108 - no file of ours: gunicorn's heartbeat
    worker_tmp_dir = "/dev/shm"  # noqa: S108 - a disk that is slow would stop it
