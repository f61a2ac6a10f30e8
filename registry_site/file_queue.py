"""The queue in files, for one machine: kombu's file system transport, made safe.

kombu opens a file first and writes it afterwards, so another process may read it empty,
and a full disk or a `kill -9` leaves it empty for good; a worker that finds such a file
stops, and with an empty list of bindings it stops at every start. Here a file appears
whole or not at all, and one that cannot be read is dropped: it was only a wake-up."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.transport.filesystem import exchange_queue_t
from kombu.utils.json import dumps, loads

logger = logging.getLogger(__name__)

LOCK = "bindings.lock"
PART = ".part"  # a file that is being written


class Channel(filesystem.Channel):
    """Messages and bindings as files that are always whole."""

    def _put(  # type: ignore[override]  # kombu's own two signatures differ
        self, queue: str, payload: Any, **kwargs: Any
    ) -> None:
        name = f"{time.monotonic_ns() // 1_000_000}_{uuid.uuid4()}.{queue}.msg"
        try:
            write_whole(Path(self.data_folder_out) / name, dumps(payload))
        except OSError as error:
            raise ChannelError(f"Cannot add a message to the queue: {error}") from error

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """The oldest message. Of several readers, who removes the file has it."""
        folder = Path(self.data_folder_in)
        for name in sorted(os.listdir(folder)):
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            try:
                text = (folder / name).read_bytes()
                (folder / name).unlink()
            except FileNotFoundError:
                continue  # another has it
            except OSError as error:
                raise ChannelError(f"Cannot read the queue: {error}") from error
            try:
                return loads(text.decode())
            except ValueError:
                logger.warning("Dropped a message of the queue that is no message.")
        raise Empty

    def get_table(self, exchange: str) -> list[exchange_queue_t]:
        """Which queues an exchange feeds."""
        try:
            rows = json.loads(self._exchange_file(exchange).read_bytes())
            return [exchange_queue_t(*row) for row in rows]
        except (FileNotFoundError, ValueError, TypeError):
            return []  # or spoilt: the next process that starts binds its queue again
        except OSError as error:
            raise ChannelError(f"Cannot read the queue's bindings: {error}") from error

    def _queue_bind(
        self, exchange: str, routing_key: str, pattern: str, queue: str
    ) -> None:
        row = exchange_queue_t(routing_key or "", pattern or "", queue or "")
        self._change(exchange, lambda rows: rows if row in rows else [row, *rows])

    def _delete(
        self,
        queue: str,
        exchange: str,
        routing_key: str,
        pattern: str,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        self._purge(queue)
        row = exchange_queue_t(routing_key or "", pattern or "", queue or "")
        self._change(exchange, lambda rows: [one for one in rows if one != row])

    def _change(self, exchange: str, change: Any) -> None:
        try:
            with self._alone():
                before = self.get_table(exchange)
                after = change(before)
                file = self._exchange_file(exchange)
                if after != before or (after and not file.exists()):
                    write_whole(file, dumps(after))
        except OSError as error:
            raise ChannelError(f"Cannot write the queue's bindings: {error}") from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """As long as it lasts no other process changes the bindings."""
        self.control_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.control_folder / LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class Transport(filesystem.Transport):
    """What a broker address of `filesystem://` means here."""

    Channel = Channel


def write_whole(path: Path, text: str) -> None:
    """Make or replace a file so that readers see all of it. Raises OSError, and then
    leaves nothing behind."""
    part = path.with_name(f"{uuid.uuid4()}{PART}")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def install() -> None:
    """Let kombu use this for `filesystem://`."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"
