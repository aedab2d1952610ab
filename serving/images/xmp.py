"""The XMP packet that says that a picture is generated: IPTC Photo Metadata 2025.1, and what IPTC has no name for."""

import re
from collections.abc import Mapping
from xml.etree import ElementTree
from xml.sax.saxutils import escape

# https://cv.iptc.org/newscodes/digitalsourcetype/
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
MAX_PACKET_BYTES = 65_000  # a JPEG segment holds no more
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
NAMESPACES = {
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "homegrown": "urn:homegrown:origin",
}
# Our name of a field, and the XMP property that holds it.
PROPERTIES = {
    "prompt": "Iptc4xmpExt:AIPromptInformation",
    "model": "Iptc4xmpExt:AISystemUsed",
    "model_sha256": "Iptc4xmpExt:AISystemVersionUsed",
    "seed": "homegrown:Seed",
    "created": "xmp:CreateDate",
    "native_size": "homegrown:NativeSize",
    "software": "xmp:CreatorTool",
}
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def printable(text: str) -> str:
    """`text` with the characters that no XML may hold, lone surrogates among them, replaced by U+FFFD."""
    return NOT_XML.sub("\ufffd", text)


def packet(fields: Mapping[str, str]) -> bytes:
    """The packet for `fields`, named as in `PROPERTIES`."""
    names = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in {"rdf": RDF, **NAMESPACES}.items())
    lines = [
        f"<{PROPERTIES[name]}>{escape(value, {chr(13): '&#13;'})}</{PROPERTIES[name]}>"
        for name, value in fields.items()
    ]
    text = (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description rdf:about="" {names}>\n'
        f'<Iptc4xmpExt:DigitalSourceType rdf:resource="{GENERATED}"/>\n'
        + "\n".join(lines)
        + '\n</rdf:Description></rdf:RDF></x:xmpmeta>\n<?xpacket end="r"?>'
    )
    return text.encode()


def fields_of(data: bytes) -> dict[str, str]:
    """What a packet says of `PROPERTIES`; empty for one that cannot be read. Document types are not read at all."""
    if len(data) > MAX_PACKET_BYTES:
        return {}
    try:
        text = data.decode().strip("\x00 \n")
        # Entities live in a document type, which no XMP packet needs.
        root = ElementTree.fromstring(text) if "<!" not in text else None
    except (ValueError, ElementTree.ParseError):
        return {}
    if root is None:
        return {}
    found = {}
    for name, (prefix, local) in {name: known.split(":") for name, known in PROPERTIES.items()}.items():
        tag = f"{{{NAMESPACES[prefix]}}}{local}"
        # XMP allows a property as an element and as an attribute; tools turn one into the other.
        for description in root.iter(f"{{{RDF}}}Description"):
            value = description.get(tag) or description.findtext(tag)
            if value:
                found.setdefault(name, value)
    return found
