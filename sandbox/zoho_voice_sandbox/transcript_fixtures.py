"""Transcripts of generated calls."""

from __future__ import annotations

import hashlib
from typing import Any

_LINES = {
    "Agent": (
        "Good morning, how can I help you?",
        "Let me look that up for you.",
        "Your order left our warehouse yesterday.",
        "Ich sehe gerade für Sie nach.",
        "Is there anything else I can do for you?",
    ),
    "Customer": (
        "Hello, I have a question about my order.",
        "Could you tell me your opening hours?",
        "Muchas gracias, hasta mañana.",
        "領収書を送ってください。",
        "That is all, thank you very much. 👍",
    ),
}
_MOODS = ("positive", "neutral", "negative")
_SUMMARIES = (
    "The customer asked about an order, and the agent answered.",
    "Der Kunde fragte nach den Öffnungszeiten.",
    "The customer wanted a receipt.",
)
_INTENTS = ("question", "request", "complaint")


def build_transcript(seed: str) -> dict[str, Any]:
    """Return the transcript of a seed, in the form of Zoho Voice as far as that is known."""
    dice = hashlib.blake2b(seed.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    segments = []
    start = 0.0
    for number in range(3 + dice[0] % 3):
        speaker = "Customer" if (number + dice[1]) % 2 else "Agent"
        end = round(start + 1 + dice[2 + number] % 40 / 10, 1)
        text = _LINES[speaker][dice[8 + number] % 5]
        segments.append({"speaker": speaker, "startTime": start, "endTime": end, "text": text})
        start = end
    return {
        "transcriptionProvider": "sandbox",
        "transcriptJson": segments,
        "callAnalytics": [
            {"feature": "sentiment", "result": _MOODS[dice[13] % 3]},
            {"feature": "summary", "result": _SUMMARIES[dice[14] % 3]},
            {"feature": "intent", "result": [_INTENTS[dice[15] % 3]]},
        ],
    }
