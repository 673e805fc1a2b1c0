"""A project's ``CONTEXT`` that carries the tenant of the request to the worker."""

from contextlib import contextmanager
from contextvars import ContextVar

from django_async_forms.context import RequestContext

tenant = ContextVar("tenant", default=None)


class TenantContext(RequestContext):
    """The language, the time zone and the tenant of the request."""

    def capture(self):
        return {**super().capture(), "tenant": tenant.get()}

    @contextmanager
    def restore(self, data):
        token = tenant.set(data["tenant"])
        try:
            with super().restore(data):
                yield
        finally:
            tenant.reset(token)
