"""The router of a project that reads from a replica."""


class ReadsFromReplica:
    """Reads from the replica, but what belongs to an instance from the database of that."""

    def db_for_read(self, model, **hints):
        return None if hints.get("instance") else "replica"

    def db_for_write(self, model, **hints):
        return "default"

    def allow_relation(self, one, other, **hints):
        return True

    def allow_migrate(self, db, app_label, **hints):
        return db == "default"
