"""Data centers: the URLs in the documentation."""

from pathlib import Path

from tap_zohovoice.config.data_centers import DATA_CENTERS, api_console_url

PAGE = Path(__file__).parents[2] / "docs" / "token.md"


def test_page_lists_console_and_accounts_server() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for data_center, (accounts_url, _) in DATA_CENTERS.items():
        console = api_console_url(data_center)
        assert f"| `{data_center}` | {console} | {accounts_url} |" in page
