"""`douse broker`: a Kafka broker for a laptop, in the foreground until Ctrl-C."""

import signal
import sys
import time
from pathlib import Path

from stream.broker import process
from stream.broker.errors import BrokerError

EXIT_ENDED = 70  # the broker ended by itself: worth another start
EXIT_OPERATOR = 78  # it cannot start as asked: somebody has to change something
LOOK_S = 0.5
USUAL_PORT = 9092  # where every client, and the default of the setting `bootstrap`, looks first


def serve(folder: Path, port: int | None = None) -> int:
    """Run a broker on this folder until SIGINT or SIGTERM, print its address when it is ready, return the exit code.

    Without a port it takes 9092, and where another process has that the folder's last one, or a free one.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with process.running(folder, port or (USUAL_PORT if process.is_free(USUAL_PORT) else None)) as broker:
            print(f"broker ready at {broker.bootstrap}, data in {broker.folder}; Ctrl-C stops it", flush=True)
            if broker.identity.port != USUAL_PORT:
                print(f"export DOUSE_BOOTSTRAP={broker.bootstrap}", flush=True)
            while broker.alive():
                time.sleep(LOOK_S)
            print(f"the broker ended by itself; the end of {broker.log}:\n{broker.log_tail()}", file=sys.stderr)
            return EXIT_ENDED
    except BrokerError as error:
        print(error, file=sys.stderr)
        return EXIT_OPERATOR
    except KeyboardInterrupt:
        print("broker stopped", flush=True)
        return 0
    finally:
        signal.signal(signal.SIGTERM, before)
