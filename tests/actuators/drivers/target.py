"""A small target: reads one value of a file at start and on SIGHUP, says over HTTP what it runs with.

python target.py FILE FOLDER NAME MANNER

obeys; deaf: takes no reload over; stubborn: the first and no other; mute: answers with 500; drips: its answer never
ends; hangs, dies, shouts (says a megabyte), flips (says the old and the new value in turn): after the first reload.
watches: reads the file again by itself when it is asked, and would die of SIGHUP.
"""

import json
import os
import signal
import sys
import time
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

FILE, FOLDER, NAME, MANNER = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
RUNNING: dict[str, Any] = {"size": 0, "reloads": 0}
OBEY = ("obeys", "flips")


def read() -> None:
    text = FILE.read_text()
    RUNNING["size"] = (json if FILE.suffix == ".json" else tomllib).loads(text)["pool"]["size"]


def hangup(*_: Any) -> None:
    RUNNING["reloads"] += 1
    if MANNER == "dies":
        os._exit(1)
    if MANNER in OBEY or (MANNER == "stubborn" and RUNNING["reloads"] == 1):
        read()


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if MANNER == "watches":
            read()
        said = dict(RUNNING)
        if MANNER == "hangs" and said["reloads"]:
            time.sleep(3_600)
        if MANNER == "shouts" and said["reloads"] == 1:
            said["size"] = "x" * 900_000
        if MANNER == "flips" and said["reloads"] == 1:
            RUNNING["size"] = 96 - said["size"]
        self.send_response(500 if MANNER == "mute" else 200)
        self.end_headers()
        while MANNER == "drips":
            self.wfile.write(b" ")
            time.sleep(0.2)
        self.wfile.write(json.dumps({"pool": {"size": said["size"]}, "reloads": said["reloads"]}).encode())

    def log_message(self, *_: Any) -> None:
        pass


read()
if MANNER != "watches":
    signal.signal(signal.SIGHUP, hangup)
server = HTTPServer(("127.0.0.1", 0), Answer)
(FOLDER / f"{NAME}.port.part").write_text(str(server.server_port))
(FOLDER / f"{NAME}.pid").write_text(f"{os.getpid()}\n")
(FOLDER / f"{NAME}.port.part").rename(FOLDER / f"{NAME}.port")
server.serve_forever()
