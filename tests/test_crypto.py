from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from indexer.crypto import WrongKey, decrypt, encrypt

ONE, TWO, THREE = (Fernet.generate_key().decode() for _ in range(3))
SECRET = "glpat-CANARY"


@pytest.fixture
def keys(settings: Settings) -> Settings:
    settings.MUSTER_ENCRYPTION_KEYS = [ONE]
    return settings


def test_K1_a_token_holds_no_trace_of_the_secret(keys: Settings) -> None:
    token = encrypt(SECRET)
    assert SECRET not in token
    assert decrypt(token) == SECRET
    assert encrypt(SECRET) != token


@pytest.mark.parametrize("text", ["", "ünï\U0001f600", "a" * 10_000])
def test_every_text_comes_back(keys: Settings, text: str) -> None:
    assert decrypt(encrypt(text)) == text


def test_the_first_key_encrypts_and_all_decrypt(keys: Settings) -> None:
    old = encrypt(SECRET)
    keys.MUSTER_ENCRYPTION_KEYS = [TWO, ONE]
    assert decrypt(old) == SECRET
    new = encrypt(SECRET)
    keys.MUSTER_ENCRYPTION_KEYS = [TWO]
    assert decrypt(new) == SECRET
    with pytest.raises(WrongKey):
        decrypt(old)


def test_K1_a_wrong_key_is_loud_and_never_an_empty_secret(
    keys: Settings,
) -> None:
    token = encrypt(SECRET)
    keys.MUSTER_ENCRYPTION_KEYS = [THREE]
    for broken in (token, token[:-4], "", "plain text", "gAAAA"):
        with pytest.raises(WrongKey, match="MUSTER_ENCRYPTION_KEYS"):
            decrypt(broken)


@pytest.mark.parametrize("lost", [[], ["not a key"]])
def test_K1_a_process_without_the_keys_says_so_where_it_needs_them(
    keys: Settings, lost: list[str]
) -> None:
    """What a crawl says on the repository; to make a new key would be no help."""
    token = encrypt(SECRET)
    keys.MUSTER_ENCRYPTION_KEYS = lost
    keys.EMBEDDED = False
    with pytest.raises(WrongKey, match="the keys it was stored with"):
        decrypt(token)


def test_what_is_no_key_is_refused(keys: Settings) -> None:
    keys.MUSTER_ENCRYPTION_KEYS = ["not a key"]
    with pytest.raises(ImproperlyConfigured, match="holds something that is no key"):
        encrypt(SECRET)


def test_production_without_a_key_refuses_when_one_is_needed(
    settings: Settings, tmp_path: Path
) -> None:
    settings.MUSTER_ENCRYPTION_KEYS = []
    settings.EMBEDDED = False
    settings.MUSTER_DATA = tmp_path
    with pytest.raises(ImproperlyConfigured, match="MUSTER_ENCRYPTION_KEYS is missing"):
        encrypt(SECRET)
    assert list(tmp_path.iterdir()) == []


def test_embedded_makes_a_key_once_that_only_we_can_read(
    settings: Settings, tmp_path: Path
) -> None:
    settings.MUSTER_ENCRYPTION_KEYS = []
    settings.EMBEDDED = True
    settings.MUSTER_DATA = tmp_path / "data"
    token = encrypt(SECRET)
    file = tmp_path / "data" / "encryption_key"
    assert file.stat().st_mode & 0o777 == 0o600
    key = file.read_text()
    assert decrypt(token) == SECRET
    assert file.read_text() == key
    assert [path.name for path in file.parent.iterdir()] == ["encryption_key"]


def test_two_processes_that_start_at_once_agree_on_the_key(
    settings: Settings, tmp_path: Path
) -> None:
    settings.MUSTER_ENCRYPTION_KEYS = []
    settings.EMBEDDED = True
    settings.MUSTER_DATA = tmp_path
    tokens: list[str] = []
    threads = [
        threading.Thread(target=lambda: tokens.append(encrypt(SECRET)))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [decrypt(token) for token in tokens] == [SECRET] * 16


def test_a_data_directory_that_cannot_be_written_is_a_sentence(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    settings.MUSTER_ENCRYPTION_KEYS = []
    settings.EMBEDDED = True
    settings.MUSTER_DATA = tmp_path / "file"
    with pytest.raises(ImproperlyConfigured, match="MUSTER_DATA"):
        encrypt(SECRET)


def test_importing_needs_no_key() -> None:
    subprocess.run(
        [sys.executable, "-c", "import indexer.crypto"],
        cwd=Path(__file__).parents[1],
        check=True,
    )
