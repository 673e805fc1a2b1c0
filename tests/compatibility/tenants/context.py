"""The context of an upload: the language, the time zone and the schema of the request."""

from contextlib import contextmanager

from django.db import connection
from django_tenants.utils import schema_context

from django_async_forms.context import RequestContext


class SchemaContext(RequestContext):
    def capture(self):
        return {**super().capture(), "schema": connection.schema_name}

    @contextmanager
    def restore(self, data):
        with super().restore(data), schema_context(data["schema"]):
            yield
