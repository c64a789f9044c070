"""Media type of a file, by its first bytes."""

from __future__ import annotations

import codecs
import re
import unicodedata

SNIFF_BYTES = 512
"""Bytes from the start of a file that are examined."""
UNKNOWN = "application/octet-stream"

_AUDIO_MAGIC = (
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
)
_NON_AUDIO_MAGIC = (
    b"PK\x03\x04", b"PK\x05\x06", b"%PDF", b"\x1f\x8b", b"\x89PNG", b"GIF8", b"\xff\xd8\xff",
)  # fmt: skip
_ENCODINGS = (
    (re.compile(rb"\xff\xfe|\xfe\xff"), "utf-16"),
    (re.compile(rb"[<{[]\0[\t-~]\0"), "utf-16-le"),
    (re.compile(rb"\0[<{[]\0[\t-~]"), "utf-16-be"),
)
"""First bytes of a text, and the encoding that they imply."""
_MARKUP = (b"<", b"{", b"[")
_TEXT_TYPES = ("text/", "json", "xml")
_TEXT_CONTROLS = "\t\n\v\f\r\x1b\x85"  # an escape switches the alphabet in Japanese pages
_MPEG_HEADER_BYTES = 4


def guess_audio_type(head: bytes, declared: str = "") -> str | None:
    """Guess the media type of a file by its first `SNIFF_BYTES` bytes, and what is declared.

    Returns:
        The type of the audio; `UNKNOWN` for bytes that are neither known audio nor something else;
        None for anything but audio: no bytes, text (HTML, JSON), archives, pictures.
    """
    if not head or _is_text(head) or head.startswith(_NON_AUDIO_MAGIC):
        return None
    for offset, magic, audio_type in _AUDIO_MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return audio_type
    is_declared_text = any(text in declared.lower() for text in _TEXT_TYPES)
    return _guess_mpeg_type(head) or (None if is_declared_text else UNKNOWN)


def _guess_mpeg_type(head: bytes) -> str | None:
    """Recognise bare frames of MPEG audio, which have a few bits in common and no magic bytes."""
    if len(head) < _MPEG_HEADER_BYTES or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:  # noqa: PLR2004
        return None
    layer = head[1] >> 1 & 3
    if not layer:
        return "audio/aac" if head[1] & 0xF6 == 0xF0 else None  # noqa: PLR2004
    return "audio/mpeg"


def _is_text(head: bytes) -> bool:
    encoding = next((name for start, name in _ENCODINGS if start.match(head)), "utf-8")
    try:
        # Incremental: the last character may be cut in two.
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        # In any other encoding, markup still begins as it does in ASCII.
        if not head.lstrip().startswith(_MARKUP):
            return False
        text = head.decode("latin-1").translate(dict.fromkeys(range(0x80, 0xA0)))
    return not any(
        unicodedata.category(char) == "Cc" and char not in _TEXT_CONTROLS for char in text
    )
