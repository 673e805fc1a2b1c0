"""The steps of the work: the first process that comes to a step carries out its order."""

import os
import signal

from django.db import OperationalError, connection, transaction

from tests.faults.orders import CONTESTED, Orders

from .run import FOLDER

orders = Orders(FOLDER / "orders")


class Now:
    """The work of this process."""

    upload = None
    #: The names under which this process has stored its image.
    stored = frozenset()
    is_duplicating = False


now = Now()


def reach(step, **more):
    """Come to a step, and carry out its order; return the action that is left to the caller."""
    action = orders.take(step)
    if action is None:
        return None
    more = {"step": step, "upload": now.upload, **more}
    orders.note("fault", action=action, victim=os.getpid(), group=os.getpgid(0), **more)
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "kill-all":
        os.killpg(0, signal.SIGKILL)
    elif action in ("delete", "change", "replace", "empty"):
        orders.tell(action=action, **more)
    elif action == "rival":
        orders.tell(action=action, **more)
        execute(CONTESTED)
    elif action == "raise":
        raise RuntimeError("Something fails (as ordered).")
    elif action == "unheard":
        transaction.on_commit(_lose_the_answer)
    elif action == "deadlock":
        execute(DEADLOCKS[connection.vendor])
    elif action == "serialization":
        execute(SERIALIZATION_FAILURES[connection.vendor])
    else:
        return action
    return None


#: The statement that makes the server refuse, by the vendor of the database.
DEADLOCKS = {
    "postgresql": "DO $$ BEGIN RAISE EXCEPTION 'ordered' USING ERRCODE = '40P01'; END $$",
    "mysql": "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'ordered'",
}
SERIALIZATION_FAILURES = {
    "postgresql": "DO $$ BEGIN RAISE EXCEPTION 'ordered' USING ERRCODE = '40001'; END $$",
    "mysql": "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1205, MESSAGE_TEXT = 'ordered'",
}


def _lose_the_answer():
    raise OperationalError("The connection was lost as the commit was answered (as ordered).")


def execute(statement):
    """Execute a statement in the transaction that is open."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
