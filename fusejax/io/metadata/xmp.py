"""Adds properties to an XMP packet without touching the others."""

import re
from collections.abc import Mapping
from xml.sax.saxutils import quoteattr

NAMESPACE = "urn:fusejax:thermal:1#"
_END = re.compile(rb"</(?:\w+:)?RDF\s*>")
_PREFIX = re.compile(rb"xmlns:(\w+)\s*=\s*[\"']http://www\.w3\.org/1999/02/22-rdf-syntax-ns#[\"']")
_OLD = re.compile(rb"<(\w+):Description\b[^>]*xmlns:fusejax=[\"']urn:fusejax:[^>]*/>\s*")
_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
    '</rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>'
)


def add_properties(packet: bytes, properties: Mapping[str, str]) -> bytes:
    """Adds a description with own properties behind those of the packet.

    Args:
        packet: XMP in UTF-8; empty for a new one.
        properties: names and values in the namespace of this library; earlier ones are replaced.

    Returns:
        The packet; unchanged if it is not XMP in UTF-8, because nothing can be added to it.
    """
    packet = _OLD.sub(b"", packet) if packet else _PACKET.encode()
    ends, prefix = list(_END.finditer(packet)), _PREFIX.search(packet)
    if not ends or prefix is None:
        return packet
    rdf = prefix[1].decode()
    listed = " ".join(f"fusejax:{name}={quoteattr(text)}" for name, text in properties.items())
    added = f'<{rdf}:Description {rdf}:about="" xmlns:fusejax="{NAMESPACE}" {listed}/>\n'.encode()
    at = ends[-1].start()
    return packet[:at] + added + packet[at:]
