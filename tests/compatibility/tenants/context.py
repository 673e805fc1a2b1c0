"""The context of an upload: the schema of the request, besides language and time zone."""

from contextlib import contextmanager
from contextvars import ContextVar

from django_async_forms.context import RequestContext

#: The schema of what was staged last, for the message that is sent for it.
schema = ContextVar("schema", default=None)


class SchemaContext(RequestContext):
    def capture(self):
        from django.db import connection

        schema.set(connection.schema_name)
        return {**super().capture(), "schema": connection.schema_name}

    @contextmanager
    def restore(self, data):
        from django_tenants.utils import schema_context

        with super().restore(data), schema_context(data["schema"]):
            yield
