"""Asks a site of ours whether it is well: `python -m registry_site.probe URL`. For
health checks; ends with 0 if the answer is 200. Imports nothing of Django, so that it
costs little every half minute."""

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit


def host_header() -> str:
    """A name that ALLOWED_HOSTS admits; the site refuses all others."""
    first = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip()
    return "localhost" if first in {"", "*"} else first.lstrip(".")


def main(url: str) -> int:
    """0 if `url` answers 200 within five seconds, else 1 with the reason printed."""
    address = urlsplit(url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=5)
    try:
        connection.request("GET", address.path, headers={"Host": host_header()})
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        sys.stderr.write(f"{url}: {error}\n")
        return 1
    finally:
        connection.close()
    if status != 200:
        sys.stderr.write(f"{url}: HTTP {status}\n")
    return int(status != 200)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
