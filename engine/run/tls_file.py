"""When the certificate in a file ends. It is read, never used: a proxy in front of the console serves it."""

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

SOON_S: Final = 7 * 86_400.0
"""How long before its end a certificate is spoken of."""

UNREAD_TODO: Final = "name the proxy's certificate (PEM), and let this user read it"

UTC_TIME: Final = 0x17
VERSION: Final = 0xA0
"""Tags of DER (ITU-T X.690); a certificate's fields are in RFC 5280, 4.1."""


def ends_s(path: Path) -> float:
    """Return the Unix time at which the first certificate of a PEM file ends.

    Raises:
        ValueError: There is none that can be read.
        OSError: The file cannot be read.
    """
    text = path.read_text(encoding="ascii", errors="replace")
    begin, end = text.find("-----BEGIN CERTIFICATE-----"), text.find("-----END CERTIFICATE-----")
    if begin < 0 or end < begin:
        raise ValueError("no certificate in it")
    der = ssl.PEM_cert_to_DER_cert(text[begin:end] + "-----END CERTIFICATE-----")
    try:
        fields = _parts(_parts(_parts(der)[0][1])[0][1])
        at = 4 if fields[0][0] == VERSION else 3
        tag, value = _parts(fields[at][1])[1]
        form = "%y%m%d%H%M%SZ" if tag == UTC_TIME else "%Y%m%d%H%M%SZ"
        return datetime.strptime(value.decode("ascii"), form).replace(tzinfo=UTC).timestamp()
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError("not a certificate") from error


def _parts(body: bytes) -> list[tuple[int, bytes]]:
    """Split what a constructed value holds into tags and values."""
    found, at = [], 0
    while at < len(body):
        tag, length, at = body[at], body[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(body[at : at + size], "big"), at + size
        found.append((tag, body[at : at + length]))
        at += length
    return found
