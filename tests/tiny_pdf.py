"""PDFs with not more in them than they need."""

import io


def pdf(*pages: str) -> bytes:
    """One line of text on each page."""
    return pdf_of(*(f"BT /F 12 Tf 20 100 Td ({text}) Tj ET".encode() for text in pages))


def pdf_of(*contents: bytes, filter: str = "") -> bytes:
    """A page for each stream of drawing commands; `filter` names how they are compressed."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{3 + 2 * number} 0 R" for number in range(len(contents)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(contents)} >>".encode())
    font = "/Resources << /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    for number, content in enumerate(contents):
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 200] {font} /Contents {4 + 2 * number} 0 R >>"
        about = f"/Filter /{filter} " if filter else ""
        objects.append(page.encode())
        objects.append(f"<< {about}/Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream")
    file, places = io.BytesIO(b"%PDF-1.4\n"), []
    file.seek(0, io.SEEK_END)
    for number, content in enumerate(objects, 1):
        places.append(file.tell())
        file.write(f"{number} 0 obj\n".encode() + content + b"\nendobj\n")
    start = file.tell()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    file.write(f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\n".encode())
    file.write(f"startxref\n{start}\n%%EOF".encode())
    return file.getvalue()
