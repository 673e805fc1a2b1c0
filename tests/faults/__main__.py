"""Runs the faults on one pair of engines; ``tests/faults/run`` runs it on several."""

import argparse
import signal
import sys

from .audit import audit
from .engines import BROKERS_OF_OURS, DATABASES
from .harness import PACES, Harness
from .table import show


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="tests.faults", description=__doc__)
    parser.add_argument("--uploads", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=list(DATABASES), default="postgresql")
    parser.add_argument("--broker", choices=list(BROKERS_OF_OURS), default="rabbitmq")
    parser.add_argument("--staging", choices=["database", "files"], default="database")
    levels = ["read committed", "repeatable read", "serializable"]
    parser.add_argument("--isolation", choices=levels, default=levels[0])
    parser.add_argument("--s3", action="store_true", help="One of the final storages speaks S3.")
    parser.add_argument("--pace", choices=list(PACES), default="defaults")
    parser.add_argument("--drafts", type=float, default=1 / 3, metavar="SHARE")
    parser.add_argument("--only", action="append", help="Only faults whose name begins so.")
    parser.add_argument("--keep", action="store_true", help="Keep the logs, and say where.")
    options = vars(parser.parse_args(arguments))
    keep = options.pop("keep")
    title = " ".join(f"{name}={value}" for name, value in options.items())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    harness = Harness(options.pop("database"), options.pop("broker"), **options)
    try:
        harness.start()
        harness.execute()
        harness.heal()
        harness.kill_in_quiet()
        harness.stream.end()
        harness.heal()
        return 0 if show(title, harness, audit(harness)) else 1
    finally:
        if keep:
            print(f"The logs are in {harness.folder}.")
            harness.keep_folder()
        # A second interrupt must not stop the clean-up.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        harness.close()


if __name__ == "__main__":
    sys.exit(main())
