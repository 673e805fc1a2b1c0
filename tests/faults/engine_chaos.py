"""
The faults of the engines, and of the network between hosts.

On a server that others may use, a proxy is stopped in place of the server.
"""

from functools import partial

#: How long a server is silent, or a host is cut off, in seconds.
SILENCE = 3


def engine_faults(harness):
    """
    Return the faults by name, those of the chosen options, and those left out with the reasons.
    """
    engines, options = harness.engines, harness.options
    broker, database = engines.broker, engines.database
    faults = {
        "broker emptied": broker.empty,
    }
    added, left_out = {}, {}
    if database.proxy:
        faults["database stopped"] = partial(_stop_the_database, harness)
        faults["database hangs"] = partial(_hang, harness, database.proxy)
    else:
        faults["database locked"] = partial(_lock_the_database, harness)
        left_out["database stopped, database hangs, database connections cut"] = (
            "SQLite has neither a server nor a connection to one"
        )
        left_out["site loses its database"] = "SQLite has no connection that can be lost"
        left_out["deadlock, serialization failure"] = (
            "SQLite has one lock, which a transaction takes as it begins"
        )
    if broker.proxy:
        faults["broker stopped"] = partial(_stop_the_broker, harness)
        faults["broker restarted"] = partial(_restart_the_broker, broker)
        faults["broker hangs"] = partial(_hang, harness, broker.proxy)
    else:
        left_out["broker stopped, broker restarted, broker hangs"] = (
            "no proxy can stand before an encrypted connection"
        )
    if options.settings:
        left_out["servers killed"] = "others may use them"
    if engines.cluster:
        added["database server killed"] = partial(_kill_the_server, harness)
    if engines.pooler:
        added["pooler killed"] = partial(_kill_the_pooler, harness)
    if options.failover:
        added["broker fails over"] = partial(_fail_over, harness)
    for name in engines.disks:
        what = "disk full, staging" if name.endswith("_staged") else "disk full, final storage"
        added[what] = partial(_fill_the_disk, harness, name)
    if engines.network:
        for host in ("one", "two", "site", "beat"):
            added[f"network cut, {host}"] = partial(_cut_off, harness, host)
    if harness.other:
        added["rolling restart"] = partial(_restart_with_the_other_build, harness)
    if options.queue_type:
        added |= {name: faults[name] for name in ("broker stopped", "broker restarted")}
    return faults | added, sorted(added), left_out


def _stop_the_broker(harness):
    harness.engines.broker.stop()
    harness.go_on(4)
    harness.engines.broker.start()


def _restart_the_broker(broker):
    broker.stop()
    broker.start()


def _hang(harness, proxy):
    proxy.hang()
    try:
        harness.go_on_for(SILENCE)
    finally:
        proxy.flow()


def _lock_the_database(harness):
    """Hold the lock of SQLite for a while. All that write wait, for less than their time-out."""
    from django.db import connection, transaction

    with transaction.atomic():
        harness.go_on_for(SILENCE)
    connection.close()


def _until_a_request_fails(harness, end):
    """Wait until a request has failed, and then end the fault."""
    before = len(harness.stream.answers.errors)
    try:
        harness.go_on_until(
            lambda: len(harness.stream.answers.errors) > before, "a request that fails"
        )
    finally:
        end()


def _stop_the_database(harness):
    proxy = harness.engines.database.proxy
    proxy.refuse()
    _until_a_request_fails(harness, proxy.accept)


def _kill_the_server(harness):
    from django.db import connection

    def start():
        harness.engines.cluster.start()
        connection.close()

    harness.engines.cluster.kill()
    _until_a_request_fails(harness, start)


def _kill_the_pooler(harness):
    pooler = harness.engines.pooler
    pooler.kill()
    _until_a_request_fails(harness, pooler.start)


def _fail_over(harness):
    """Lose the messages of a few uploads with the server, as replication that is behind does."""
    harness.engines.broker.lag()
    harness.go_on(4)
    harness.engines.broker.fail_over()


def _fill_the_disk(harness, name):
    """Take the space of a disk until somebody finds none left."""
    disk = harness.engines.disks[name]
    before = _refusals(harness)
    disk.fill()
    try:
        harness.go_on_until(lambda: _refusals(harness) > before, "somebody finds no space left")
    finally:
        disk.empty()


def _refusals(harness):
    """Count the requests and attempts that have found no space left."""
    return sum("No space left" in note.get("error", "") for note in harness.orders.notes())


def _cut_off(harness, host):
    """
    Cut a host off, and have the servers close its connections, as they do after some time.

    The host does not get to know that they are closed until it is back.
    """
    engines = harness.engines
    engines.network.cut(host)
    try:
        harness.go_on_for(SILENCE)
        for proxy in (engines.broker.proxy, engines.database.proxy):
            proxy.cut()
        harness.go_on_for(SILENCE)
    finally:
        engines.network.join(host)


def _restart_with_the_other_build(harness):
    """Restart the workers and the site one after the other, with the build that does not run."""
    harness.build = None if harness.build else harness.other
    for worker in harness.workers:
        worker.replace(build=harness.build)
        harness.go_on_until(worker.is_replaced, "a worker of the other build is ready")
        harness.go_on(3)
    old, harness.site = harness.site, harness.processes.site(harness.build)
    harness.go_on_until(harness.site_is_there, "a site of the other build is there")
    old.ask_to_stop()
    harness.go_on_until(lambda: not old.is_running(), "the site before has ended")
    old.kill()
