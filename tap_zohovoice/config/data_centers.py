"""Zoho's data centers: hosts, labels and API consoles."""

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

SCOPE = "ZohoVoice.call.READ"  # of everything under `zv/logs`; source: documentation


def api_console_url(data_center: str) -> str:
    """Return the URL of the API console; those that are documented follow this pattern."""
    return DATA_CENTERS[data_center][0].replace("accounts", "api-console")
