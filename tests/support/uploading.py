"""Brings a folder to a share in a process of its own, to be killed: `python -m tests.support.uploading`, told on stdin."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

from azure.storage.fileshare import ShareClient

from sidecar.core.journal import Journal
from sidecar.gateway.large_files import LargeFiles
from sidecar.workflows.local_model import local_model
from sidecar.workflows.model_upload import Bringing


def main() -> None:
    told = json.load(sys.stdin)
    credential = {"account_name": told["account"], "account_key": told["key"]}
    client = ShareClient(told["url"], told["share"], credential=credential, connection_verify=told["ca"])
    journal = Journal(None, "", lambda _: None, threading.Event())
    with LargeFiles(client) as share:
        Bringing(share, "", local_model(Path(told["folder"])), told["place"], 0, journal, ()).run()


if __name__ == "__main__":
    main()
