"""Media type of a file, by its first bytes."""

import codecs
import re

SNIFF_BYTES = 512  # from the start of a file, which are examined
UNKNOWN = "application/octet-stream"

_MAGIC = (
    (0, b"ID3", "audio/mpeg"),
    (8, b"WAVE", "audio/wav"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (4, b"ftyp", "audio/mp4"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"\x1a\x45\xdf\xa3", "audio/webm"),
    *((0, magic, None) for magic in (b"PK\x03\x04", b"PK\x05\x06", b"%PDF", b"\x1f\x8b")),
    *((0, magic, None) for magic in (b"\x89PNG", b"GIF8", b"\xff\xd8\xff")),
)
_MARKUP = re.compile(rb"(\xff\xfe|\xfe\xff)|(\xef\xbb\xbf|\s)*\0?[<{[]\0?[\t-~]\0?[\t-~]")
"""Start of a text in UTF-16, or of HTML, XML or JSON in any encoding."""
_TEXT_TYPES = ("text/", "json", "xml")
_BINARY = re.compile("[\0-\x08\x0e-\x1f\x7f\udc80-\udcff]")
"""Control characters, and how `surrogateescape` decodes bytes that are not UTF-8."""


def guess_audio_type(head: bytes, declared: str = "") -> str | None:
    """Guess the media type of a file by its first `SNIFF_BYTES` bytes, and what is declared.

    `UNKNOWN` may be audio. None is for no bytes, text (HTML, JSON), archives and pictures.
    """
    head = head[:SNIFF_BYTES]
    # Incremental: the last character may be cut in two.
    text = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(head)
    if _MARKUP.match(head) or not _BINARY.search(text):  # it may be empty too
        return None
    for offset, magic, kind in _MAGIC:
        if head.startswith(magic, offset):
            return kind
    # Frames of MPEG audio have a few bits in common, and no magic bytes.
    frame = int.from_bytes(head[:2], "big")
    if frame & 0xFFF6 == 0xFFF0:  # noqa: PLR2004
        return "audio/aac"
    if frame & 0xFFE0 == 0xFFE0 and frame & 0x0006:  # noqa: PLR2004
        return "audio/mpeg"
    return None if any(text in declared.lower() for text in _TEXT_TYPES) else UNKNOWN
