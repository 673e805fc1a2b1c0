"""A router for two databases: models with ``lives_elsewhere`` are in the second."""


class Router:
    def db_for_read(self, model, **hints):
        return "other" if getattr(model, "lives_elsewhere", False) else None

    db_for_write = db_for_read
