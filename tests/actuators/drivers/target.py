"""A small target: reads one number of a TOML file at start and on SIGHUP, says over HTTP what it runs with.

python target.py FILE FOLDER NAME obeys|deaf|stubborn|mute    (stubborn: takes the first reload over and no other)
"""

import json
import os
import signal
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

FILE, FOLDER, NAME, MANNER = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
RUNNING = {"size": 0, "reloads": 0}


def read() -> None:
    RUNNING["size"] = tomllib.loads(FILE.read_text())["pool"]["size"]


def hangup(*_: Any) -> None:
    RUNNING["reloads"] += 1
    if MANNER == "obeys" or (MANNER == "stubborn" and RUNNING["reloads"] == 1):
        read()


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(500 if MANNER == "mute" else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"pool": {"size": RUNNING["size"]}, "reloads": RUNNING["reloads"]}).encode())

    def log_message(self, *_: Any) -> None:
        pass


read()
signal.signal(signal.SIGHUP, hangup)
server = HTTPServer(("127.0.0.1", 0), Answer)
(FOLDER / f"{NAME}.port.part").write_text(str(server.server_port))
(FOLDER / f"{NAME}.pid").write_text(f"{os.getpid()}\n")
(FOLDER / f"{NAME}.port.part").rename(FOLDER / f"{NAME}.port")
server.serve_forever()
