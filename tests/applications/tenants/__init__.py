"""django-tenants with tenant-schemas-celery: docs/howto/tenants.rst."""
