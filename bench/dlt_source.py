"""Read the same logs with dlt's `rest_api` source into a folder of JSON Lines.

dlt runs in an environment of its own, see `requirements/bench/dlt.txt`. It is configured as its
documentation shows; its files are not compressed, as those of the others are not.
"""

from __future__ import annotations

import sys

import dlt
from dlt.destinations import filesystem
from dlt.sources.rest_api import rest_api_source


def main() -> None:
    """Read the account at a URL, with a page size, into a folder."""
    url, size, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    source = rest_api_source(
        {
            "client": {
                "base_url": f"{url}/rest/json/",
                "headers": {"Authorization": "Zoho-oauthtoken made-up"},
                "paginator": {
                    "type": "offset",
                    "limit": size,
                    "offset_param": "from",
                    "limit_param": "size",
                    "total_path": "meta.total",
                },
            },
            "resources": [
                {
                    "name": "call_logs",
                    "primary_key": "logid",
                    "endpoint": {"path": "zv/logs", "data_selector": "logs"},
                }
            ],
        }
    )
    pipeline = dlt.pipeline(
        pipeline_name="bench",
        pipelines_dir=f"{folder}/work",
        destination=filesystem(bucket_url=f"{folder}/out"),
        dataset_name="bench",
    )
    pipeline.run(
        source, loader_file_format="jsonl", write_disposition="append"
    ).raise_on_failed_jobs()


if __name__ == "__main__":
    main()
