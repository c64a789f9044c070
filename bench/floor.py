"""The floor: the minimum cost of reading all logs, with a plain loop of requests and json.

It pages to the end, parses each page, and writes each row as it came in a RECORD message. It does
nothing else: no types, no de-duplication, no order, no state, no retries, no limits.
"""

from __future__ import annotations

import json
import sys

import requests


def main() -> None:
    """Read the account at a URL, with a page size."""
    url, size = sys.argv[1], int(sys.argv[2])
    session = requests.Session()
    session.headers["Authorization"] = "Zoho-oauthtoken made-up"
    offset = 0
    while True:
        params = {"from": str(offset), "size": str(size)}
        response = session.get(f"{url}/rest/json/zv/logs", params=params, timeout=60)
        response.raise_for_status()
        page = json.loads(response.content)
        for row in page["logs"]:
            message = {"type": "RECORD", "stream": "call_logs", "record": row}
            sys.stdout.write(json.dumps(message) + "\n")
        offset += len(page["logs"])
        if offset >= page["meta"]["total"] or not page["logs"]:
            return


if __name__ == "__main__":
    main()
