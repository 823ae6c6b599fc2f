"""Writes every fact of all one's jobs into a file, once each, however often this program or the server is stopped.

SAFELIGHT_URL=http://127.0.0.1:8765 SAFELIGHT_KEY=... python docs/examples/ledger.py facts.jsonl
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from safelight import AsyncClient, RequestRefused


async def main(path: Path) -> None:
    url, key = os.environ.get("SAFELIGHT_URL", "http://127.0.0.1:8765"), os.environ.get("SAFELIGHT_KEY")
    async with AsyncClient(url, key, patience_s=None) as client:
        with path.open("a", encoding="utf-8") as ledger:
            # What was done with a fact and the cursor after it are one line: neither is ever there without the other.
            cursor = last_cursor(path)
            try:
                async for event in client.watch_mine(cursor):
                    if event.is_fact:
                        line = {"job": event.job_id, "seq": event.seq, "type": event.type, "cursor": event.cursor}
                        ledger.write(json.dumps(line) + "\n")
                        ledger.flush()
            except RequestRefused as refusal:
                if refusal.code != "cursor_expired":
                    raise
                sys.exit("away for too long: facts have been removed since; read the jobs there are, and begin anew")


def last_cursor(path: Path) -> str | None:
    lines = path.read_text("utf-8").splitlines()
    return json.loads(lines[-1])["cursor"] if lines else None


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
