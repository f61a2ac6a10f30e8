"""Settings: each is documented, fails early, and production is safe by default."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCTION = {
    "DEBUG": "False",
    "SECRET_KEY": "k7Jq2vX9mB4tR8wZ1cY6nH3sL5pD0fGaEuViOxKyTbWqMzNr-4e7h",
    "ALLOWED_HOSTS": "models.example.org",
}


def manage(
    *arguments: str, data: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run manage.py with nothing in its environment but what is given."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "MUSTER_DATA": str(data), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def names_read() -> set[str]:
    """Every variable of the environment that the product reads."""
    settings = (ROOT / "registry_site/settings.py").read_text(encoding="utf-8")
    names = set(re.findall(r"""env(?:\.\w+)?\(\s*"([A-Z_]+)\"""", settings))
    for secret in re.findall(r"""secret\("([A-Z_]+)"\)""", settings):
        names |= {secret, f"{secret}_FILE"}
    for path in sorted((ROOT / "indexer").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        names |= set(
            re.findall(r"""environ(?:\.get\(|\[)\s*"(MUSTER_[A-Z_]+)\"""", text)
        )
    return names


def test_every_setting_is_documented_and_every_documented_one_is_read() -> None:
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`([A-Z][A-Z_]{3,})`", text))
    read = names_read()
    assert len(read) > 15
    assert read - documented == set(), "not in docs/configuration.md"
    values = {"DEBUG", "INFO", "WARNING", "ERROR"}
    assert documented - read - values == set(), "documented, but never read"


def test_every_setting_of_compose_is_one_that_is_read() -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    block = text.split("environment: &environment", 1)[1].split("services:", 1)[0]
    assert set(re.findall(r"^    ([A-Z_]+):", block, re.MULTILINE)) <= names_read()


@pytest.mark.parametrize("missing", ["SECRET_KEY", "ALLOWED_HOSTS"])
def test_C8_production_without_a_secret_or_names_refuses_to_start(
    missing: str, tmp_path: Path
) -> None:
    environment = {name: value for name, value in PRODUCTION.items() if name != missing}
    done = manage("check", data=tmp_path, **environment)
    assert done.returncode != 0
    assert f"{missing} is missing" in done.stderr


def test_check_deploy_finds_nothing_in_the_production_profile(tmp_path: Path) -> None:
    done = manage(
        "check", "--deploy", "--fail-level", "WARNING", data=tmp_path, **PRODUCTION
    )
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    kept = tmp_path / "key"
    kept.write_text(PRODUCTION["SECRET_KEY"] + "\n")
    done = manage(
        "shell",
        "-c",
        "from django.conf import settings; print(settings.SECRET_KEY)",
        data=tmp_path,
        DEBUG="False",
        SECRET_KEY_FILE=str(kept),
        ALLOWED_HOSTS="models.example.org",
    )
    assert PRODUCTION["SECRET_KEY"] in done.stdout, done.stderr


def test_a_secret_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = manage(
        "check",
        data=tmp_path,
        DEBUG="False",
        SECRET_KEY_FILE=str(tmp_path / "none"),
        ALLOWED_HOSTS="models.example.org",
    )
    assert done.returncode != 0
    assert "SECRET_KEY_FILE" in done.stderr


def test_C8_the_embedded_secret_is_made_once_and_only_its_owner_reads_it(
    tmp_path: Path,
) -> None:
    data = tmp_path / "var"
    show = "from django.conf import settings; print('key', settings.SECRET_KEY)"
    first = manage("shell", "-c", show, data=data)
    second = manage("shell", "-c", show, data=data)
    other = manage("shell", "-c", show, data=tmp_path / "elsewhere")
    keys = [run.stdout.split("key ")[1].split()[0] for run in (first, second, other)]
    assert keys[0] == keys[1] != keys[2]
    assert len(keys[0]) >= 50
    assert (data / "secret_key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("LOG_LEVEL", "loud", "LOG_LEVEL is 'loud'; it is one of"),
        ("TIME_ZONE", "Foo/Bar", "TIME_ZONE is 'Foo/Bar'; it is a name such as"),
        ("TIME_ZONE", "America", "TIME_ZONE is 'America'; it is a name such as"),
        ("TIME_ZONE", "../x", "TIME_ZONE is '../x'; it is a name such as"),
        ("PORT", "0", "PORT is 0; it is at least 1"),
        ("MUSTER_WEB_WORKERS", "0", "MUSTER_WEB_WORKERS is 0; it is at least 1"),
        ("MUSTER_WORKERS", "-1", "MUSTER_WORKERS is -1; it is at least 1"),
        ("MUSTER_LEASE", "0", "MUSTER_LEASE is 0; it is at least 1"),
        ("MUSTER_CRAWL_INTERVAL", "-5", "MUSTER_CRAWL_INTERVAL is -5"),
        ("MUSTER_WAKE_INTERVAL", "nan", "MUSTER_WAKE_INTERVAL is nan"),
        ("MUSTER_ALLOW_PRIVATE", "10.0.0.1/8", "MUSTER_ALLOW_PRIVATE: 10.0.0.1/8 has"),
        ("MUSTER_ALLOW_PRIVATE", "all of them", "MUSTER_ALLOW_PRIVATE is 'all of"),
        ("MUSTER_ALLOW_PRIVATE", "True, fd00::/8", "MUSTER_ALLOW_PRIVATE: 'True'"),
    ],
)
def test_a_value_that_makes_no_sense_stops_the_start_with_one_sentence(
    name: str, value: str, sentence: str, tmp_path: Path
) -> None:
    done = manage("check", data=tmp_path, **{name: value})
    assert done.returncode == 1
    assert done.stderr.startswith(f"Muster cannot start. {sentence}")
    assert len(done.stderr.splitlines()) == 1


def test_what_is_set_to_nothing_counts_as_not_set(tmp_path: Path) -> None:
    names = ("HOST", "PORT", "TIME_ZONE", "LOG_LEVEL", "MUSTER_LEASE", "DATABASE_URL")
    done = manage("diffsettings", data=tmp_path, **dict.fromkeys(names, ""))
    assert done.returncode == 0, done.stderr
    for line in ("HOST = '127.0.0.1'", "PORT = 8000", "TIME_ZONE = 'UTC'"):
        assert line in done.stdout


def test_the_data_may_be_kept_in_a_home_directory(tmp_path: Path) -> None:
    done = manage("diffsettings", data=Path("~/muster"), HOME=str(tmp_path))
    assert str(tmp_path / "muster") in done.stdout


def test_a_secret_that_a_full_disk_left_empty_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "secret_key").touch()
    assert manage("check", data=tmp_path).returncode == 0
    assert len((tmp_path / "secret_key").read_text()) >= 50
    assert [path.name for path in tmp_path.glob("secret_key*")] == ["secret_key"]
    assert not list(tmp_path.glob("tmp*"))


def test_processes_that_start_at_once_have_the_same_secret(tmp_path: Path) -> None:
    show = "from django.conf import settings; print(settings.SECRET_KEY)"
    environment = {
        "PATH": os.environ["PATH"],
        "MUSTER_DATA": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "registry_site.settings",
    }
    several = [
        subprocess.Popen(
            [sys.executable, "-c", show],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    assert len({one.communicate(timeout=60)[0] for one in several}) == 1


@pytest.mark.parametrize(
    "program",
    [
        ["gunicorn", "registry_site.wsgi", "--bind=127.0.0.1:0", "--workers=1"],
        ["celery", "--app=registry_site.celery", "worker"],
        ["celery", "--app=registry_site.celery", "beat"],
    ],
    ids=["web", "worker", "beat"],
)
def test_C8_every_process_says_in_one_sentence_what_is_missing(
    program: list[str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *program],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "MUSTER_DATA": str(tmp_path),
            "DEBUG": "False",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "Muster cannot start. SECRET_KEY is missing." in done.stderr
    assert "settings.py" not in done.stderr
