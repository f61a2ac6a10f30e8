"""The queue in files: what a full disk, a kill or a race leaves does not stop it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.exceptions import ChannelError

from registry_site import file_queue

QUEUE = Queue("celery", Exchange("celery"), routing_key="celery")


@pytest.fixture
def connection(tmp_path: Path) -> Connection:
    (tmp_path / "queue").mkdir()
    (tmp_path / "control").mkdir()
    # What this process has bound already, in another test's folder.
    file_queue.Transport.global_state.clear()
    return open_queue(tmp_path)


def open_queue(folder: Path) -> Connection:
    file_queue.install()
    return Connection(
        "filesystem://localhost/",
        transport_options={
            "data_folder_in": str(folder / "queue"),
            "data_folder_out": str(folder / "queue"),
            "control_folder": str(folder / "control"),
            "polling_interval": 0.01,
        },
    )


def send(connection: Connection, *bodies: object) -> None:
    with connection.Producer() as producer:
        for body in bodies:
            producer.publish(
                body,
                exchange=QUEUE.exchange,
                routing_key="celery",
                declare=[QUEUE],
                serializer="json",
            )


def take(connection: Connection) -> object:
    """The next message; raises Empty."""
    with connection.SimpleQueue(QUEUE) as queue:
        message = queue.get(block=False)
        message.ack()
        return message.payload


@pytest.mark.parametrize("spoilt", ["", "[", '{"body": "', "\udcff"])
def test_a_message_that_is_none_is_dropped(
    tmp_path: Path, connection: Connection, spoilt: str
) -> None:
    file = tmp_path / "queue" / "0_x.celery.msg"
    file.write_bytes(spoilt.encode(errors="surrogateescape"))
    send(connection, {"id": 1})
    assert take(connection) == {"id": 1}
    assert not file.exists()
    with pytest.raises(Empty):
        take(connection)


@pytest.mark.parametrize("spoilt", ["", "[[", "7", "[7]"])
def test_a_list_of_bindings_that_is_none_is_written_again(
    tmp_path: Path, connection: Connection, spoilt: str
) -> None:
    file = tmp_path / "control" / "celery.exchange"
    file.write_text(spoilt)
    send(connection, {"id": 1})
    assert take(connection) == {"id": 1}
    assert json.loads(file.read_text()) == [["celery", "", "celery"]]


def test_readers_and_writers_at_once_lose_and_double_nothing(
    tmp_path: Path, connection: Connection
) -> None:
    send(connection)
    writer = (
        "import sys; from pathlib import Path; from tests import test_file_queue as t\n"
        "folder, first = Path(sys.argv[1]), int(sys.argv[2])\n"
        "t.send(t.open_queue(folder), *range(first, first + 300))"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", writer, str(tmp_path), str(1000 * one)])
        for one in range(2)
    ]
    found: list[Any] = []
    failed: list[Exception] = []

    def read() -> None:
        mine = open_queue(tmp_path)
        writing = True
        while True:
            writing = any(one.poll() is None for one in writers)
            try:
                found.append(take(mine))
            except Empty:
                if not writing:
                    return
            except Exception as error:
                failed.append(error)
                return

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(60)
    assert not failed
    assert [one.wait() for one in writers] == [0, 0]
    assert sorted(found) == [*range(300), *range(1000, 1300)]
    assert list((tmp_path / "queue").iterdir()) == []


def test_what_cannot_be_written_is_told_and_leaves_nothing(
    tmp_path: Path, connection: Connection
) -> None:
    send(connection, {"id": 1})
    for file in (tmp_path / "queue").iterdir():
        file.unlink()
    (tmp_path / "queue").rmdir()
    (tmp_path / "queue").write_text("")
    with pytest.raises((ChannelError, OSError)):
        send(connection, {"id": 2})
    long = tmp_path / ("x" * 300)
    with pytest.raises(OSError, match="name too long"):
        file_queue.write_whole(long, "text")
    assert not list(tmp_path.glob(f"*{file_queue.PART}"))
