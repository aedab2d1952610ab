"""Builds the virtual environment from a lock file, on a machine that has nothing but Python: `python install.py VENV`.

torch is not in the CPU lock: its CPU build comes from an index of its own, and where that cannot be reached, pip's
usual index decides. Written for the standard library, in syntax that a Python too old for the rest still reads.
"""

import argparse
import contextlib
import ctypes
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
OLDEST, NEWEST = (3, 11), (3, 14)


def main():
    parser = argparse.ArgumentParser(description="Build the virtual environment.")
    parser.add_argument("venv")
    parser.add_argument("--gpu", action="store_true", help="the set for NVIDIA GPUs")
    parser.add_argument("--torch-index", default="https://download.pytorch.org/whl/cpu", help="where torch comes from")
    parser.add_argument("--packages-only", action="store_true", help="leave out Homegrown itself")
    options = parser.parse_args()
    check_python()
    python = os.path.join(os.path.abspath(options.venv), "bin", "python")
    lock = os.path.join(HERE, "gpu.lock" if options.gpu else "cpu.lock")
    with step(f"virtual environment {options.venv}"):
        run(sys.executable, "-m", "venv", options.venv)
    if not options.gpu:
        install_torch(python, options.torch_index)
    with step(f"packages of {os.path.relpath(lock)}"):
        install_lock(python, lock)
    if not options.gpu:
        check_numa()
    if not options.packages_only:
        with step("homegrown"):
            pip(python, "--no-deps", "--no-build-isolation", "--editable", os.path.dirname(HERE))


def check_python():
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        sys.exit(
            f"homegrown: Python {dotted(sys.version_info)} cannot be used, the packages exist for {dotted(OLDEST)} to "
            f"{dotted(NEWEST)}: name one of these, as in `make install PYTHON=python3.12`."
        )
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        sys.exit(
            "homegrown: this Python cannot make virtual environments: add its venv package, on Debian and Ubuntu with "
            f"`apt install python{dotted(sys.version_info)}-venv`."
        )


def dotted(version):
    return f"{version[0]}.{version[1]}"


def check_numa():
    """vLLM's CPU kernels link against libnuma, which no Python package brings."""
    try:
        ctypes.CDLL("libnuma.so.1")
    except OSError:
        print("   note: vLLM needs libnuma.so.1 on this machine (Debian and Ubuntu: `apt install libnuma1`)")


def install_lock(python, lock):
    """With uv, itself out of the lock: it takes a tenth of pip's time. With pip where uv finds no way to the index."""
    with open(lock, encoding="utf-8") as file:
        pinned_uv = re.search(r"^uv==(?:.*\\\n)*.*", file.read(), re.MULTILINE).group()
    with tempfile.TemporaryDirectory() as folder:
        only_uv = os.path.join(folder, "uv.txt")
        with open(only_uv, "w", encoding="utf-8") as file:
            file.write(pinned_uv + "\n")
        pip(python, "--no-deps", "--require-hashes", "--requirement", only_uv)
    options = ["--no-deps", "--require-hashes", "--requirement", lock]
    uv = [python, "-m", "uv", "pip", "install", "--quiet", "--python", python]
    if subprocess.run(uv + options, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
        pip(python, *options)


def install_torch(python, index):
    with open(os.path.join(HERE, "cpu.in"), encoding="utf-8") as file:
        pinned = re.search(r"^torch==\S+", file.read(), re.MULTILINE).group()
    if index and reachable(index):
        with step(f"{pinned} from {index}"):
            pip(python, "--no-deps", "--index-url", index, pinned)
        return
    with step(f"{pinned} from pip's usual index" + (f" (no answer from {index})" if index else "")):
        pip(python, pinned)
    if "+cpu" not in torch_version(python):
        print("   note: that is the build for GPUs; it works on CPUs too, but is some gigabytes larger")


def torch_version(python):
    code = "from importlib.metadata import version; print(version('torch'))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout


def reachable(index):
    try:
        with urllib.request.urlopen(index.rstrip("/") + "/torch/", timeout=5):
            return True
    except OSError:
        return False


def pip(python, *arguments):
    run(python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input", *arguments)


def run(*command):
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"\nhomegrown: the installation stopped at `{' '.join(command)}`; the lines above say why.")


@contextlib.contextmanager
def step(what):
    start = time.monotonic()
    print("-- " + what, end=" ", flush=True)
    yield
    print(f"{time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
