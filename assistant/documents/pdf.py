"""The text of a PDF; run as a module it reads one from standard input."""

import io

from assistant.documents.confined import RefusedError, serve

MAX_PAGES = 5000


def pages(data: bytes) -> list[str]:
    """The text of each page. Raises `RefusedError`, and whatever pypdf raises over a broken file."""
    from pypdf import PdfReader

    pdf = PdfReader(io.BytesIO(data))
    if pdf.is_encrypted and not pdf.decrypt(""):
        raise RefusedError("it is locked with a password")
    if len(pdf.pages) > MAX_PAGES:
        raise RefusedError(f"it has more than {MAX_PAGES} pages")
    return [page.extract_text() for page in pdf.pages]


if __name__ == "__main__":
    serve(pages)
