"""The selected suites of Django: all of them, and the few that take CI's two minutes."""

#: The tests of storages, on the two staging storages. Without the package, on Django's.
STORAGES = "tests.django_suites.storages"

SUITES = [
    # Forms, model forms, formsets
    "forms_tests",
    "model_forms",
    "model_formsets",
    "model_formsets_regress",
    "validation",
    "composite_pk",
    # Inlines and the admin
    "inline_formsets",
    "generic_relations",
    "generic_inline_admin",
    "admin_changelist",
    "admin_checks",
    "admin_custom_urls",
    "admin_default_site",
    "admin_docs",
    "admin_filters",
    "admin_inlines",
    "admin_ordering",
    "admin_registration",
    "admin_utils",
    "admin_views",
    "admin_widgets",
    "auth_tests.test_forms",
    "flatpages_tests",
    "modeladmin",
    # Generic views
    "generic_views",
    # Model fields, uploads, files, storages
    "bulk_create",
    "file_storage",
    "file_uploads",
    "files",
    "max_lengths",
    "model_fields",
    STORAGES,
    # Inheritance
    "model_inheritance",
    "model_inheritance_regress",
    "proxy_model_inheritance",
    "proxy_models",
    # Several databases, transactions, signals
    "multiple_database",
    "save_delete_hooks",
    "signals",
    "transaction_hooks",
    "transactions",
]

QUICK = [
    "model_forms",
    "model_formsets",
    "model_formsets_regress",
    "inline_formsets",
    "admin_inlines",
    "generic_views",
    "file_storage",
    "file_uploads",
    "files",
    "model_fields",
    "model_inheritance",
    "multiple_database",
    "transactions",
    STORAGES,
]
