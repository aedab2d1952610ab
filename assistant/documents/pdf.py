"""The text of a PDF, read in a process of its own with limits: such a file may be made to take all memory and time."""

import io
import json
import resource
import subprocess
import sys

from serving.api.errors import ApiError

MAX_PAGES = 5000
MEMORY_BYTES = 2 * 2**30
SECONDS = 120


def read_pdf(data: bytes) -> list[str]:
    """The text of each page. Blocks; raises `ApiError` 400 when the file is broken, locked or too much."""
    try:
        reader = subprocess.run([sys.executable, "-m", __name__], input=data, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise _unreadable(f"reading it takes longer than {SECONDS} s") from None
    if reader.returncode:
        raise _unreadable("it is broken, or needs too much memory")
    told = json.loads(reader.stdout)
    if "refused" in told:
        raise _unreadable(told["refused"])
    return told["pages"]


def _unreadable(why: str) -> ApiError:
    return ApiError(400, f"This PDF cannot be read: {why}.", param="file", code="unreadable_document")


def _tell(data: bytes) -> dict:
    """What the child answers: pages, or why there are none."""
    from pypdf import PdfReader

    pdf = PdfReader(io.BytesIO(data))
    if pdf.is_encrypted and not pdf.decrypt(""):
        return {"refused": "it is locked with a password"}
    if len(pdf.pages) > MAX_PAGES:
        return {"refused": f"it has more than {MAX_PAGES} pages"}
    return {"pages": [page.extract_text() for page in pdf.pages]}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    print(json.dumps(_tell(sys.stdin.buffer.read())))
