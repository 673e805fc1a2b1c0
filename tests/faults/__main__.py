"""Runs the faults on one choice of engines; ``tests/faults/run`` runs it on several."""

import argparse
import signal
import sys

from .audit import audit
from .databases import LEVELS
from .errors import SettingsError
from .harness import PACES, Harness
from .record import record, record_recoveries
from .table import show

DATABASES = ("postgresql", "mariadb", "sqlite")


def parse(arguments=None):
    parser = argparse.ArgumentParser(prog="tests.faults", description=__doc__)
    parser.add_argument("--uploads", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", choices=list(PACES), default="defaults")
    parser.add_argument("--drafts", type=float, default=1 / 3, metavar="SHARE")
    parser.add_argument("--only", action="append", help="Only faults whose name begins so.")
    parser.add_argument("--kills", type=int, help="Of workers, and of children, after the faults.")
    parser.add_argument("--keep", action="store_true", help="Keep the logs, and say where.")
    parser.add_argument("--record", metavar="FILE", help="Append the results to a CSV file.")
    parser.add_argument("--record-recoveries", metavar="FILE", help="The times after these kills.")
    parser.add_argument("--settings", metavar="FILE", help="The settings that name the engines.")
    parser.add_argument("--database", choices=DATABASES, default="postgresql")
    parser.add_argument("--broker", choices=["rabbitmq", "redis"], default="rabbitmq")
    parser.add_argument("--staging", choices=["database", "files"], default="database")
    parser.add_argument("--isolation", choices=LEVELS)
    parser.add_argument("--s3", action="store_true", help="One of the final storages speaks S3.")
    parser.add_argument("--queue-type", choices=["quorum"], help="On a RabbitMQ of its own.")
    parser.add_argument("--failover", action="store_true", help="Redis with a replica.")
    parser.add_argument("--pooler", choices=["pgbouncer"])
    parser.add_argument("--replica", action="store_true", help="Read from a replica that lags.")
    parser.add_argument("--small-disks", action="store_true")
    parser.add_argument("--hosts", action="store_true", help="Each process on a host of its own.")
    parser.add_argument("--other-build", metavar="PATH", help="A clone with another version.")
    options = parser.parse_args(arguments)
    refuse(parser, options)
    return options


def refuse(parser, options):
    """Refuse options that do nothing with the chosen engines."""
    given = {name.replace("_", "-") for name, value in vars(options).items() if value}
    if options.settings:
        for name in ("queue-type", "failover", "pooler", "replica", "small-disks", "s3"):
            if name in given:
                parser.error(f"--{name} starts a server, and --settings names all servers.")
    if options.database == "sqlite":
        for name in ("isolation", "hosts"):
            if name in given:
                parser.error(f"--{name} needs a database server, and SQLite is a file.")
    needs = {"queue-type": ("broker", "rabbitmq"), "failover": ("broker", "redis")}
    needs |= {"pooler": ("database", "postgresql"), "replica": ("database", "postgresql")}
    for name, (option, value) in needs.items():
        if name in given and getattr(options, option) != value:
            parser.error(f"--{name} needs --{option} {value}.")


def main(arguments=None):
    options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        harness = Harness(options)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        harness.start()
        harness.execute()
        harness.heal()
        harness.kill_in_quiet()
        harness.stream.end()
        harness.heal()
        findings = audit(harness)
        if options.record:
            record(options.record, harness, findings)
        if options.record_recoveries:
            record_recoveries(options.record_recoveries, harness, findings)
        return 0 if show(harness, findings) else 1
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        if options.keep:
            print(f"The logs are in {harness.folder}.")
            harness.keep_folder()
        # A second interrupt must not stop the clean-up.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        harness.close()


if __name__ == "__main__":
    sys.exit(main())
