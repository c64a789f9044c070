"""Catalogs for the tap."""

from typing import Any

from tap_zohovoice.tap import TapZohoVoice


def selecting(*names: str) -> dict[str, Any]:
    """Return a catalog with these streams selected, and no others."""
    catalog = TapZohoVoice(config={}, validate_config=False).catalog_dict
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = entry["tap_stream_id"] in names
    return catalog
