"""The test project's settings with tenants, each in a schema, on PostgreSQL."""

from tests.project.settings import *  # noqa: F403

#: The outbox is in both lists: an upload is in the schema of its instance.
SHARED_APPS = [
    "django_tenants",
    "django.contrib.contenttypes",
    "django_async_forms",
    "tests.compatibility.tenants",
]
TENANT_APPS = [
    "django.contrib.contenttypes",
    "django_async_forms",
    "tests.compatibility.tenants.photos",
]
INSTALLED_APPS = [*dict.fromkeys([*SHARED_APPS, *TENANT_APPS]), "crispy_forms", "crispy_bootstrap5"]
TENANT_MODEL = "tenants.Client"
TENANT_DOMAIN_MODEL = "tenants.Domain"
MIDDLEWARE = ["django_tenants.middleware.main.TenantMainMiddleware"]
TEMPLATES = [{**TEMPLATES[0], "OPTIONS": {}}]  # noqa: F405
ROOT_URLCONF = "tests.compatibility.tenants.photos.urls"
DATABASES = {
    "default": {**DATABASES["default"], "ENGINE": "django_tenants.postgresql_backend"}  # noqa: F405
}
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
ASYNC_FORMS = {"CONTEXT": "tests.compatibility.tenants.context.SchemaContext"}
