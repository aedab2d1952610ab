"""Backups that somebody made to do harm: each says what it tries."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, content: bytes = b"", **about: object) -> Member:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in about.items():
        setattr(info, key, value)
    return info, content


def write_tar(file: Path, members: list[Member]) -> None:
    with tarfile.open(file, "w:gz", format=tarfile.GNU_FORMAT) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))


def manifest_of(contents: dict[str, bytes], **changes: object) -> Member:
    entries = [
        {"path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()
    ]
    about = {"format": 1, "created": "2026-01-01T00:00:00Z", "schema_revision": None, "rows": 0, "models": {}}
    return member("manifest.json", json.dumps(about | {"files": entries} | changes).encode())


def crafted(contents: dict[str, bytes], **changes: object) -> list[Member]:
    return [manifest_of(contents, **changes), *(member(name[:90], content) for name, content in contents.items())]


def entry(path: object, size: object = 0) -> dict:
    return {"path": path, "bytes": size, "sha256": hashlib.sha256(b"").hexdigest()}


HOSTILE: dict[str, Callable[[], list[Member]]] = {
    "path up": lambda: crafted({"documents/../../evil": b"x"}),
    "path absolute": lambda: crafted({"/etc/evil": b"x"}),
    "path elsewhere": lambda: crafted({"runs/evil": b"x"}),
    "path of a part": lambda: crafted({"documents": b"x"}),
    "path with backslash": lambda: crafted({"documents/..\\evil": b"x"}),
    "path with nul": lambda: crafted({"documents/a\0b": b"x"}),
    "path too long": lambda: crafted({"documents/" + "a" * 300: b"x"}),
    "path empty part": lambda: crafted({"documents//a": b"x"}),
    "path twice": lambda: [manifest_of({}, files=[entry("documents/a"), entry("documents/a")])],
    "path below a file": lambda: crafted({"documents/a": b"x", "documents/a/b": b"x"}),
    "path no text": lambda: [manifest_of({}, files=[entry(7)])],
    "size negative": lambda: [manifest_of({}, files=[entry("documents/a", -1)])],
    "size huge": lambda: [manifest_of({}, files=[entry("documents/a", 2**60)])],
    "size of a bomb": lambda: crafted({"documents/a": bytes(2**26 + 1)}),
    "size differs": lambda: [manifest_of({"documents/a": b"xy"}), member("documents/a", b"x")],
    "content differs": lambda: [manifest_of({"documents/a": b"x"}), member("documents/a", b"y")],
    "member missing": lambda: [manifest_of({"documents/a": b"x"})],
    "link": lambda: [
        manifest_of({"documents/a": b""}), member("documents/a", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    ],
    "hard link": lambda: [
        manifest_of({"documents/a": b""}), member("documents/a", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
    ],
    "device": lambda: [manifest_of({"documents/a": b""}), member("documents/a", type=tarfile.CHRTYPE)],
    "folder": lambda: [manifest_of({"documents/a": b""}), member("documents/a", type=tarfile.DIRTYPE)],
    "extended header": lambda: [member("x", b"30 path=documents/../../evil..\n", type=tarfile.XHDTYPE)],
    "no manifest": lambda: [member("documents/a", b"x")],
    "manifest of a later version": lambda: crafted({}, format=2),
    "manifest with more": lambda: crafted({}, evil=True),
    "manifest too deep": lambda: [member("manifest.json", b"[" * 100_000)],
    "newer schema": lambda: crafted({}, schema_revision="9999"),
    "schema is a command": lambda: crafted({}, schema_revision="head"),
    "unknown table": lambda: crafted({"database/evil.jsonl": b"{}\n"}, schema_revision="0001"),
    "rows of the version": lambda: crafted({"database/alembic_version.jsonl": b"{}\n"}, schema_revision="0001"),
    "unknown column": lambda: crafted({"database/users.jsonl": b'{"evil": 1}\n'}, schema_revision="0001"),
    "no row": lambda: crafted({"database/users.jsonl": b"7\n"}, schema_revision="0001"),
    "row too deep": lambda: crafted({"database/users.jsonl": b"[" * 100_000}, schema_revision="0001"),
    "row no json": lambda: crafted({"database/users.jsonl": b"\xff\n"}, schema_revision="0001"),
    "row of another type": lambda: crafted(
        {"database/users.jsonl": b'{"id": "u", "name": {"a": 1}, "created_at": "x"}\n'}, schema_revision="0001"
    ),
    "row twice": lambda: crafted(
        {"database/users.jsonl": b'{"id":"u","name":"n","created_at":"2026-01-01T00:00:00+00:00"}\n' * 2},
        schema_revision="0001",
    ),
    "row of nobody": lambda: crafted(
        {"database/conversations.jsonl": b'{"id":"c","user_id":"u","title":"","model":"m","settings":{},'
         b'"created_at":"2026-01-01T00:00:00+00:00","updated_at":"2026-01-01T00:00:00+00:00"}\n'},
        schema_revision="0001",
    ),
}  # fmt: skip
