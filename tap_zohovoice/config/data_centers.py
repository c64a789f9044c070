"""Zoho's data centers: hosts, labels and API consoles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA_CENTERS = {
    "us": ("https://accounts.zoho.com", "https://voice.zoho.com"),
    "eu": ("https://accounts.zoho.eu", "https://voice.zoho.eu"),
    "in": ("https://accounts.zoho.in", "https://voice.zoho.in"),
    "au": ("https://accounts.zoho.com.au", "https://voice.zoho.com.au"),
    "jp": ("https://accounts.zoho.jp", "https://voice.zoho.jp"),
    "ca": ("https://accounts.zohocloud.ca", "https://voice.zohocloud.ca"),
    "sa": ("https://accounts.zoho.sa", "https://voice.zoho.sa"),
    "uk": ("https://accounts.zoho.uk", "https://voice.zoho.uk"),
    "ae": ("https://accounts.zoho.ae", "https://voice.zoho.ae"),
    "cn": ("https://accounts.zoho.com.cn", "https://voice.zoho.com.cn"),
}
"""URLs of Zoho Accounts and Zoho Voice, by data center.

Those of Zoho Accounts are documented; of Zoho Voice only `us` is, the others follow the pattern of
Zoho's products (`accounts_url` and `api_url` override both).
"""

DATA_CENTER_LABELS = {
    "us": "United States",
    "eu": "Europe",
    "in": "India",
    "au": "Australia",
    "jp": "Japan",
    "ca": "Canada",
    "sa": "Saudi Arabia",
    "uk": "United Kingdom",
    "ae": "United Arab Emirates",
    "cn": "China",
}
"""Labels of the choices, as `enumNames` in the schema of the settings."""

SCOPE = "ZohoVoice.call.READ"
"""OAuth scope of everything under `zv/logs`. Source: documentation."""

_HINTS = ("api_domain", "accounts-server", "accounts_server", "location")


def api_console_url(data_center: str) -> str:
    """Return the URL of the API console; those that are documented follow this pattern."""
    return DATA_CENTERS[data_center][0].replace("accounts", "api-console")


def data_center_of(response: Mapping[str, Any]) -> str:
    """Return the data center that a response of Zoho Accounts names, or an empty string.

    Sources: Zoho's documentation of OAuth in several data centers, and of the CRM's API for the
    domains in `api_domain`, such as `https://www.zohoapis.eu`.
    """
    for hint in (str(response[name]) for name in _HINTS if response.get(name)):
        if hint in DATA_CENTERS:
            return hint
        for data_center, (accounts_url, _) in DATA_CENTERS.items():
            domain = accounts_url.partition("accounts.zoho")[2].removeprefix("cloud")
            if _host(hint) in {_host(accounts_url), f"www.zohoapis{domain}"}:
                return data_center
    return ""


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
