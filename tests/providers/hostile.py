"""Builders of hostile repositories, for tests of every layer.

Each function makes one bare repository at `path`, returns its path, and keeps beside
the hostile part a healthy one: `churn@v1.0.0` on a commit whose dvc.yaml declares
`churn`. A reader has done well if that is indexed and the rest is named."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.providers.raw_repository import PERSON, WHEN, RawRepository

GOOD_TAG = "churn@v1.0.0"
GOOD_FILE = b"artifacts:\n  churn:\n    type: model\n    path: model.pkl\n"
SIGNATURE = (
    b"-----BEGIN PGP SIGNATURE-----\n\niQEzBAABCAAdFiEE\n-----END PGP SIGNATURE-----\n"
)
PAYLOAD = "<script>alert(1)</script>"

# Taggers, each of one tag `t<number>@v1.0.0`: what follows `tagger `, None for no line.
TAGGERS: tuple[bytes | None, ...] = (
    None,
    b"",
    b"Alice",
    b"Alice <>",
    b"<x@example.org> %d +0000" % WHEN,
    b"Bob <> %d +0000" % WHEN,
    b" <> %d +0000" % WHEN,
    b"J\xf6rg M\xfcller <j@example.org> %d +0000" % WHEN,
    b"Alice <alice@example.org>",
    b"Alice <alice@example.org> ",
    b"Alice <alice@example.org> %d" % WHEN,
    b"Alice <alice@example.org> %d UTC" % WHEN,
    b"Alice <alice@example.org> %d +9999" % WHEN,
    b"Alice <alice@example.org> %d +2400" % WHEN,
    b"Alice <alice@example.org> %d +2500" % WHEN,
    b"Alice <alice@example.org> %d -0000" % WHEN,
    b"Alice <alice@example.org> %d.5 +0000" % WHEN,
    b"Alice <alice@example.org> -86400 +0000",
    b"Alice <alice@example.org> -1 +0000",
    b"Alice <alice@example.org> 0 +0000",
    b"Alice <alice@example.org> -99999999999999 +0000",
    b"Alice <alice@example.org> 253402300800 +0000",
    b"Alice <alice@example.org> 9223372036854775808 +0000",
    b"Alice <alice@example.org> 18446744073709551616 +0000",
    b"Alice <alice@example.org> 99999999999999999999999999 +0000",
    b"Alice <alice@example.org> today +0000",
    b"Al\0ice <al\0ice@example.org> %d +0000" % WHEN,
    b"Alice <alice@example.org <bob@example.org> %d +0000" % WHEN,
    b"Alice > <alice@example.org> %d +0000" % WHEN,
    PAYLOAD.encode() + b" <alice@example.org> %d +0000" % WHEN,
)

# Messages, each of one tag `u<number>@v1.0.0`.
MESSAGES: tuple[bytes, ...] = (
    b"",
    b"\n\n\n",
    b"caf\xe9\n",
    b"nul \0 inside\n",
    b"\xed\xa0\x80 a surrogate\n",
    b"Registering\n\n" + SIGNATURE,
    PAYLOAD.encode() + b"\n",
    b"\x1b[31mred\x1b[0m\r\nlines\r\n",
    "\u202egnp.exe\u2066\n".encode(),
    b"x" * 5_000_000 + b"\n",
)

# Names of refs that are legal in Git. Each points to a tag object of the same name.
NAMES: tuple[bytes, ...] = (
    b"--upload-pack=touch",
    b"-x",
    b"m@created",
    b"m@v1.0.0<script>alert(1)</script>",
    b"a%2Fb@v1.0.0",
    b"a%00b@v1.0.0",
    "m@v1\u0662.0.0".encode(),
    "\U0001f600@v1.0.0".encode(),
    "\u202em@v1.0.0".encode(),
    b"caf\xe9@v1.0.0",
    b"m#1",
    b"m@v1.0.0!#1",
    b"m#prod#" + b"1" * 4301,
    b"n" * 250 + b"@v1.0.0",
    b"m@v2.0.0'\"&;$(touch${IFS}x)`id`",
    b"m@v" + b"9" * 4301 + b".0.0",
    b"dir/sub=m@v1.0.0",
    b"a=b=m@v1.0.0",
    b"m@v1.0.0{}",
    b"__proto__@v1.0.0",
    b"constructor#prod#1",
    b"m@deprecated",
)


def _healthy(path: Path, files: dict[str, bytes] | None = None) -> RawRepository:
    repository = RawRepository(path)
    tree = repository.files({"dvc.yaml": GOOD_FILE, **(files or {})})
    commit = repository.commit(tree)
    repository.version(GOOD_TAG, commit)
    repository.refs[b"refs/heads/main"] = commit
    return repository


def hostile_tag_objects(path: Path) -> Path:
    """Forty tag objects that break readers, ones of other kinds, and a good one."""
    repository = _healthy(path)
    head = repository.refs[b"refs/heads/main"]
    for number, tagger in enumerate(TAGGERS):
        name = b"t%d@v1.0.0" % number
        repository.tag(name, repository.tag_body(head, name, tagger=tagger))
    for number, message in enumerate(MESSAGES):
        name = b"u%d@v1.0.0" % number
        repository.tag(name, repository.tag_body(head, name, message=message))
    encoded = b"object %s\ntype commit\ntag enc@v1.0.0\ntagger %s %d +0000\n"
    encoded %= (head.encode(), PERSON, WHEN)
    repository.tag(b"enc@v1.0.0", encoded + b"encoding zip\n\ncaf\xe9\n")
    repository.tag(b"headless@v1.0.0", b"no header at all")
    repository.tag(b"empty@v1.0.0", b"")
    repository.tag(b"mismatch@v1.0.0", repository.tag_body(head, b"other@v2.0.0"))
    repository.tag(b"nonsense@v1.0.0", repository.tag_body(head, b"no gto name"))
    repository.tag(b"newline@v1.0.0", repository.tag_body(head, b"newline@v1.0.0\nx y"))
    inner = repository.version("inner@v1.0.0", head)
    repository.tag(
        b"nested@v1.0.0", repository.tag_body(inner, b"nested@v1.0.0", kind="tag")
    )
    blob = repository.blob(b"just a file\n")
    tree = repository.files({"x": b"x"})
    for kind, target in (("blob", blob), ("tree", tree)):
        name = b"on-%s@v1.0.0" % kind.encode()
        repository.tag(name, repository.tag_body(target, name, kind=kind))
    repository.tag(b"liar@v1.0.0", repository.tag_body(blob, b"liar@v1.0.0"))
    repository.tag(b"missing@v1.0.0", repository.tag_body("1" * 40, b"missing@v1.0.0"))
    repository.refs[b"refs/tags/light@v1.0.0"] = head
    repository.refs[b"refs/tags/light-blob@v1.0.0"] = blob
    return repository.finish()


def hostile_names(path: Path) -> Path:
    """Ref names with everything Git allows, one of 4,308 characters, and branches that
    look like options."""
    repository = _healthy(path)
    head = repository.refs[b"refs/heads/main"]
    for name in NAMES:
        repository.tag(name, repository.tag_body(head, name))
    repository.refs[b"refs/heads/--output=canary"] = head
    repository.refs[b"refs/heads/-x"] = head
    repository.head = b"ref: refs/heads/-x\n"
    return repository.finish()


def yaml_bomb_documents() -> dict[str, bytes]:
    """Registry files that break YAML readers, by the folder to put them in."""
    letters = "abcdefghi"
    laughs = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
        f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]\n"
        for before, after in itertools.pairwise(letters)
    )
    merges = "a: &a {k: 1}\n" + "".join(
        f"{after}: &{after} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n"
        for before, after in itertools.pairwise(letters * 2)
        if before < after
    )
    return {
        "deep-flow": b"[" * 200_000,
        "deep-map": b"{a: " * 50_000,
        "deep-block": b"".join(b" " * n + b"a:\n" for n in range(1_000)),
        "laughs": laughs.encode(),
        "merges": merges.encode(),
        "self-alias": b"artifacts: &a [*a]\n",
        "self-merge": b"artifacts: &a {<<: *a}\n",
        "unknown-alias": b"artifacts: *nothing\n",
        "python": b"!!python/object/apply:os.system ['touch canary']\n",
        "python-map": b"artifacts: !!python/object:os.path {}\n",
        "custom-tag": b"artifacts: !Ref churn\n",
        "duplicate": b"artifacts:\n  a: {}\n  a: {}\n",
        "nan": b"artifacts:\n  nan-model:\n    meta: {x: .nan, y: -.inf, z: 1e400}\n",
        "numbers": b"artifacts:\n  n:\n    meta: [%s, 0x%s, 9223372036854775808]\n"
        % (b"1" * 4301, b"f" * 4301),
        "dates": b"artifacts:\n  d:\n    meta: [2023-02-30, 0000-00-00, 2024-01-01]\n",
        "nul-escape": b'artifacts:\n  z:\n    desc: "a\\0b"\n',
        "nul": b"artifacts:\n  z:\0\n",
        "surrogate": b'artifacts:\n  s:\n    desc: "\\ud800"\n',
        "raw-surrogate": b"artifacts:\n  s: \xed\xa0\x80\n",
        "latin-1": b"artifacts:\n  caf\xe9: {}\n",
        "utf-16": "artifacts:\n  wide: {type: model}\n".encode("utf-16"),
        "bom": b"\xef\xbb\xbfartifacts:\n  bom: {type: model}\n",
        "crlf": b"artifacts:\r\n  crlf:\r\n    type: model\r\n",
        "tabs": b"artifacts:\n\ta: {}\n",
        "two-documents": b"artifacts: {}\n---\nartifacts: {}\n",
        "empty": b"",
        "list-root": b"- a\n- b\n",
        "scalar-root": b"just text\n",
        "list-key": b"? [a, b]\n: c\n",
        "yaml-1.1": b"artifacts:\n  on:\n    type: no\n    labels: [yes, 0644, off]\n",
        "html": f"artifacts:\n  h:\n    desc: '{PAYLOAD}'\n".encode(),
        "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:"
        + b"0" * 64
        + b"\nsize 99999999999\n",
        "binary": bytes(range(256)) * 16,
        "cut": b"artifacts:\n  a:\n    type: 'mod",
    }


def yaml_bombs(path: Path) -> Path:
    """Every hostile registry file in a folder of its own, beside the good one."""
    files = {f"{k}/dvc.yaml": v for k, v in yaml_bomb_documents().items()}
    return _healthy(path, files).finish()


def large_documents(path: Path) -> Path:
    """A registry file of 50 MB, and one just above the limit."""
    line = b"# nothing to see\n"
    return _healthy(
        path,
        {
            "huge/dvc.yaml": line * (50 * 1024 * 1024 // len(line)),
            "large/dvc.yaml": b"#" * (5 * 1024 * 1024 + 1),
        },
    ).finish()


def _with_tree(path: Path, entry: Callable[[RawRepository], str]) -> Path:
    """The healthy repository, with one more folder `bomb` on the main branch."""
    repository = RawRepository(path)
    good = repository.blob(GOOD_FILE)
    tagged = repository.commit(repository.files({"dvc.yaml": GOOD_FILE}))
    repository.version(GOOD_TAG, tagged)
    tree = repository.tree(
        [(b"100644", b"dvc.yaml", good), (b"40000", b"bomb", entry(repository))]
    )
    repository.refs[b"refs/heads/main"] = repository.commit(tree, parents=[tagged])
    return repository.finish()


def git_bomb(path: Path, *, name: bytes = b"dvc.yaml") -> Path:
    """Twelve objects that stand for ten thousand million files."""

    def bomb(repository: RawRepository) -> str:
        tree = repository.tree([(b"100644", name, repository.blob(b"a: 1\n"))])
        for _ in range(10):
            tree = repository.tree((b"40000", b"d%d" % n, tree) for n in range(10))
        return tree

    return _with_tree(path, bomb)


def deep_directories(path: Path, levels: int = 5_000) -> Path:
    """A directory thousands of levels down, with a dvc.yaml at its end."""

    def deep(repository: RawRepository) -> str:
        tree = repository.files({"dvc.yaml": b"artifacts: {}\n"})
        for _ in range(levels):
            tree = repository.tree([(b"40000", b"d", tree)])
        return tree

    return _with_tree(path, deep)


def pack_bomb(path: Path, megabytes: int = 64) -> Path:
    """Files of zeros that a small pack stands for: a dvc.lock and a dvc.yaml."""
    repository = _healthy(path)
    repository.finish()
    zeros = subprocess.Popen(
        ["head", "-c", str(megabytes * 1024 * 1024), "/dev/zero"],
        stdout=subprocess.PIPE,
    )
    blob = subprocess.run(
        ["git", "-C", str(path), "hash-object", "-w", "--stdin"],
        stdin=zeros.stdout,
        capture_output=True,
        check=True,
    )
    zeros.wait()
    assert zeros.stdout is not None
    zeros.stdout.close()
    large = blob.stdout.decode().strip()
    folder = repository.tree(
        [(b"100644", b"dvc.lock", large), (b"100644", b"dvc.yaml", large)]
    )
    tree = repository.tree(
        [
            (b"100644", b"dvc.yaml", repository.blob(GOOD_FILE)),
            (b"40000", b"bomb", folder),
        ]
    )
    head = repository.refs[b"refs/heads/main"]
    repository.refs[b"refs/heads/main"] = repository.commit(tree, parents=[head])
    return repository.finish()


def links_and_submodules(path: Path) -> Path:
    """Symbolic links out of the tree, to itself and inside it, a submodule with an
    `ext::` URL, LFS attributes, and entries no honest tree has."""
    repository = RawRepository(path)
    head = repository.commit(repository.files({"dvc.yaml": GOOD_FILE}))
    repository.version(GOOD_TAG, head)

    def link(target: bytes) -> str:
        return repository.tree([(b"120000", b"dvc.yaml", repository.blob(target))])

    modules = b'[submodule "m"]\n\tpath = m\n\turl = ext::sh -c touch% canary\n'
    good = repository.blob(GOOD_FILE)
    evil = repository.files({"dvc.yaml": b"artifacts: {evil: {type: model}}\n"})
    tree = repository.tree(
        [
            (b"100644", b"dvc.yaml", good),
            (b"100644", b".gitmodules", repository.blob(modules)),
            (
                b"100644",
                b".gitattributes",
                repository.blob(b"*.yaml filter=lfs diff=lfs merge=lfs\n"),
            ),
            (b"120000", b"artifacts.yaml", repository.blob(b"/etc/passwd")),
            (b"40000", b"absolute", link(b"/etc/passwd")),
            (b"40000", b"outside", link(b"../../../../etc/passwd")),
            (b"40000", b"loop", link(b"dvc.yaml")),
            (b"40000", b"inside", link(b"../dvc.yaml")),
            (b"120000", b"plots", repository.blob(b"/etc")),
            (b"160000", b"m", head),
            (b"40000", b"..", evil),
            (b"40000", b".git", evil),
            (b"40000", b"a/b", evil),
        ]
    )
    repository.refs[b"refs/heads/main"] = repository.commit(tree, parents=[head])
    return repository.finish()


ALL: dict[str, Callable[[Path], Path]] = {
    "tag-objects": hostile_tag_objects,
    "names": hostile_names,
    "yaml": yaml_bombs,
    "large": large_documents,
    "git-bomb": git_bomb,
    "deep": deep_directories,
    "pack-bomb": pack_bomb,
    "links": links_and_submodules,
}
