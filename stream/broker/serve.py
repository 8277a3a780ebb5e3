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


def serve(folder: Path, port: int | None = None) -> int:
    """Run a broker on this folder until SIGINT or SIGTERM, print its address when it is ready, return the exit code."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with process.running(folder, port) as broker:
            print(f"broker ready at {broker.bootstrap}, data in {broker.folder}; Ctrl-C stops it", flush=True)
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
