"""Data centers: what responses name, and the URLs in the documentation."""

from pathlib import Path
from typing import Any

import pytest

from tap_zohovoice.config.data_centers import DATA_CENTERS, api_console_url, data_center_of

PAGE = Path(__file__).parents[2] / "docs" / "token.md"


@pytest.mark.parametrize(
    ("response", "data_center"),
    [
        ({"api_domain": "https://www.zohoapis.com"}, "us"),
        ({"api_domain": "https://www.zohoapis.com.au"}, "au"),
        ({"api_domain": "https://www.zohoapis.ca"}, "ca"),
        ({"api_domain": "https://www.zohoapis.invalid"}, ""),
        ({"accounts-server": "https://accounts.zohocloud.ca"}, "ca"),
        ({"accounts_server": "https://accounts.zoho.com.cn/"}, "cn"),
        ({"location": "uk"}, "uk"),
        ({"location": "moon", "api_domain": "https://["}, ""),
        ({"api_domain": 5, "location": None}, ""),
        ({}, ""),
    ],
    ids=str,
)
def test_response_names_its_data_center(response: dict[str, Any], data_center: str) -> None:
    assert data_center_of(response) == data_center


def test_page_lists_console_and_accounts_server() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for data_center, (accounts_url, _) in DATA_CENTERS.items():
        console = api_console_url(data_center)
        assert f"| `{data_center}` | {console} | {accounts_url} |" in page
