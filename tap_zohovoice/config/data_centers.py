"""Zoho's data centers: hosts, labels and API consoles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_DOMAINS = {
    "us": ("United States", "zoho.com"),
    "eu": ("Europe", "zoho.eu"),
    "in": ("India", "zoho.in"),
    "au": ("Australia", "zoho.com.au"),
    "jp": ("Japan", "zoho.jp"),
    "ca": ("Canada", "zohocloud.ca"),
    "sa": ("Saudi Arabia", "zoho.sa"),
    "uk": ("United Kingdom", "zoho.uk"),
    "ae": ("United Arab Emirates", "zoho.ae"),
    "cn": ("China", "zoho.com.cn"),
}
DATA_CENTER_LABELS = {code: label for code, (label, _) in _DOMAINS.items()}
DATA_CENTERS = {
    code: (f"https://accounts.{domain}", f"https://voice.{domain}")
    for code, (_, domain) in _DOMAINS.items()
}
"""URLs of Zoho Accounts and Zoho Voice, by data center.

Those of Zoho Accounts are documented; of Zoho Voice only `us` is, the others follow the pattern of
Zoho's products (`accounts_url` and `api_url` override both).
"""

SCOPE = "ZohoVoice.call.READ"
"""OAuth scope of everything under `zv/logs`. Source: documentation."""


def api_console_url(data_center: str) -> str:
    """Return the URL of the API console; those that are documented follow this pattern."""
    return DATA_CENTERS[data_center][0].replace("accounts", "api-console")


def data_center_of(response: Mapping[str, Any]) -> str:
    """Return the data center that a response of Zoho Accounts names, or an empty string.

    Sources: Zoho's documentation of OAuth in several data centers, and of the CRM's API for the
    domains in `api_domain`, such as `https://www.zohoapis.eu`.
    """
    for name in ("api_domain", "accounts-server", "accounts_server", "location"):
        hint = str(response.get(name) or "").rstrip("/")
        for code, (_, domain) in _DOMAINS.items():
            api_domain = domain.replace("zohocloud", "zoho").replace("zoho", "zohoapis")
            if hint in {code, f"https://accounts.{domain}", f"https://www.{api_domain}"}:
                return code
    return ""
