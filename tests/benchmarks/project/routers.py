"""Sends everything to the database that is being measured."""

from django.conf import settings


class Router:
    """``Router.alias`` is that database. It changes between two measurements."""

    alias = settings.ROUTED_TO

    def db_for_read(self, model, **hints):
        return self.alias

    def db_for_write(self, model, **hints):
        return self.alias
