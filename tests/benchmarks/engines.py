"""A worker on other database servers, and with other ways to keep a connection."""

from contextlib import ExitStack

from django.conf import settings

from . import images
from .processes import PgBouncer, Worker
from .rounds import interleave
from .worker_speed import drains

SIZE = 100_000
NAMES = {"sqlite": "SQLite", "mariadb": "MariaDB", "postgresql": "PostgreSQL"}
#: Other ways to connect to PostgreSQL: the choices that the settings know. All that is without
#: ``reuse`` has ``CELERY_DB_REUSE_MAX``.
CONNECTIONS = {
    "only CONN_MAX_AGE": {"reuse": "no"},
    "only psycopg's pool": {"reuse": "no", "pool": "psycopg"},
    "only PgBouncer": {"reuse": "no", "pool": "PgBouncer"},
    "with PgBouncer": {"pool": "PgBouncer"},
}


def measure(results, places, uploads, rounds, progress):
    """Measure ours and by hand, in turn, on each server and then with each way to connect."""
    chosen = {"staging": "files"}
    databases = sorted(places.databases, key=list(NAMES).index)
    ways = [(database, {}, NAMES[database]) for database in databases]
    if "postgresql" in places.databases:
        ways += [("postgresql", how, f"PostgreSQL, {name}") for name, how in CONNECTIONS.items()]
    data = images.image(SIZE)
    for database, how, name in ways:
        places.make_database(database)
        with ExitStack() as stack:
            if how.get("pool") == "PgBouncer":
                if PgBouncer.PROGRAM is None:
                    continue
                pool = PgBouncer(places, settings.DATABASES[database])
                how = {**how, "port": str(stack.enter_context(pool).port)}
            stack.enter_context(places.use(database, **chosen))
            worker = stack.enter_context(Worker(places, database=database, **chosen, **how))
            cases = drains(places, worker, database, data, uploads)
            interleave(results, ("engines", images.label(SIZE), name), cases, rounds, progress)
        if database != places.database:
            places.drop_database(database)
