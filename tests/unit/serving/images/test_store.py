"""Files named by their content, and URLs that nobody can make up."""

import errno
import hashlib
import hmac
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from serving.images.store import NAME, ImageStore, SignatureError, StoreError


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images", url_s=60)


def parts(url: str) -> tuple[str, str, str]:
    """Name, expiry and signature."""
    split = urlsplit(url)
    query = parse_qs(split.query)
    return split.path.rpartition("/")[2], query["expires"][0], query["signature"][0]


def test_a_picture_is_named_by_its_content_and_kept_once(store: ImageStore) -> None:
    name = store.save(b"picture", "png")
    assert name == hashlib.sha256(b"picture").hexdigest() + ".png"
    assert NAME.fullmatch(name)
    assert store.path(name).read_bytes() == b"picture"
    assert store.save(b"picture", "png") == name
    assert store.save(b"another", "jpeg") != name
    assert len(list(store.folder.iterdir())) == 2


def test_a_url_works_until_it_expires(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    name, expires, signature = parts(store.url(store.save(b"picture", "webp")))
    store.check(name, expires, signature)
    monkeypatch.setattr("time.time", lambda: int(expires) - 0.5)
    store.check(name, expires, signature)
    monkeypatch.setattr("time.time", lambda: int(expires) + 0.5)
    with pytest.raises(SignatureError, match="expired"):
        store.check(name, expires, signature)


def test_no_part_of_a_url_can_be_changed(store: ImageStore, tmp_path: Path) -> None:
    name, expires, signature = parts(store.url(store.save(b"picture", "png")))
    other = store.save(b"another", "png")
    elsewhere = ImageStore(tmp_path / "elsewhere", url_s=60)
    foreign = parts(elsewhere.url(name))[2]
    for changed in [
        (other, expires, signature),
        (name, str(int(expires) + 1), signature),
        (name, "", signature),
        (name, expires, ""),
        (name, expires, signature[:-1]),
        (name, expires, signature.upper()),
        (name, expires, signature[:-1] + ("0" if signature[-1] != "0" else "1")),
        (name, expires, "é" * 64),
        (name, expires, foreign),
        (name + "\n" + expires, "", signature),
    ]:
        with pytest.raises(SignatureError, match="wrong"):
            store.check(*changed)


def test_urls_outlive_the_process_but_not_the_secret(store: ImageStore) -> None:
    url = parts(store.url("name"))
    ImageStore(store.folder, store.url_s).check(*url)
    secret = store.folder / "secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert secret.stat().st_size == 32
    secret.write_bytes(b"")  # an empty key would let everybody sign
    with pytest.raises(SignatureError):
        store.check(*url)
    with pytest.raises(SignatureError):
        store.check(url[0], url[1], hmac.new(b"", f"{url[0]}\n{url[1]}".encode(), "sha256").hexdigest())
    store.check(*parts(store.url("name")))
    assert secret.stat().st_size == 32


@pytest.mark.parametrize(
    "name",
    ["secret", "../secret", "/etc/passwd", "", ".", "..", "a.png", f"{'a' * 64}.png", f"{'a' * 64}.svg",
     f"{'A' * 64}.png", f"../images/{'a' * 64}.png", f"{'a' * 64}.png\n", f"{'a' * 64}.png\0"],
)  # fmt: skip
def test_only_pictures_are_found(store: ImageStore, name: str) -> None:
    store.url("secret")
    (store.folder / f"{'a' * 64}.gif").touch()
    assert store.path(name) is None


def test_a_full_disk_leaves_nothing_behind(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(StoreError, match=r"no space left on device") as caught:
            store.save(b"picture", "png")
    assert str(store.folder) not in str(caught.value)
    assert list(store.folder.iterdir()) == []
    assert store.path(store.save(b"picture", "png"))


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="not a directory"):
        ImageStore(tmp_path / "file" / "images", url_s=60).save(b"picture", "png")


def test_many_at_once_in_a_new_home(store: ImageStore) -> None:
    together = threading.Barrier(8)

    def work(_: int) -> tuple[str, str]:
        together.wait()
        name = store.save(b"picture" * 1000, "png")
        return name, store.url(name)

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(work, range(8)))
    names = {name for name, _ in done}
    assert len(names) == 1
    for _, url in done:
        store.check(*parts(url))
    assert sorted(path.name for path in store.folder.iterdir()) == sorted([*names, "secret"])
