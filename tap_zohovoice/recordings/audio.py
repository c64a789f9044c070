"""Media type of a file, by its first bytes."""

import codecs
import json
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
    (0, b".snd", "audio/basic"),
    (0, b"\x1a\x45\xdf\xa3", "audio/webm"),
    (8, b"AIFF", "audio/aiff"),
    (0, b"caff", "audio/x-caf"),
    *((0, magic, None) for magic in (b"PK\x03\x04", b"PK\x05\x06", b"%PDF", b"\x1f\x8b")),
    *((0, magic, None) for magic in (b"\x89PNG", b"GIF8", b"\xff\xd8\xff")),
)
_UTF_16 = re.compile(rb"\xff\xfe|\xfe\xff|[<{[]\0[\t-~]\0|\0[<{[]\0[\t-~]")
_MARKUP = (b"<", b"{", b"[")
_TEXT_TYPES = ("text/", "json", "xml")
# An escape switches the alphabet in Japanese pages.
_CONTROLS = {*range(0x20), 0x7F} - set(b"\t\n\v\f\r\x1b")


def guess_audio_type(head: bytes, declared: str = "") -> str | None:
    """Guess the media type of a file by its first `SNIFF_BYTES` bytes, and what is declared.

    `UNKNOWN` is for bytes that are neither known audio nor something else; None for anything but
    audio: no bytes, text (HTML, JSON), archives, pictures.
    """
    head = head[:SNIFF_BYTES]
    if not head or _is_text(head):
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


def _is_text(head: bytes) -> bool:
    """Return whether bytes are text without control characters, or markup in any encoding."""
    try:
        encoding = json.detect_encoding(head) if _UTF_16.match(head) else "utf-8"
        # Incremental: the last character may be cut in two.
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        text = head.decode("latin-1") if head.lstrip().startswith(_MARKUP) else "\0"
    return _CONTROLS.isdisjoint(map(ord, text))
