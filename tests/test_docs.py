"""The documentation names everything that users can use, and nothing else."""

import ast
import configparser
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.core.management import get_commands
from django.dispatch import Signal

import django_async_forms
from django_async_forms import urls
from django_async_forms.conf import AsyncFormsSettings
from django_async_forms.log import EVENTS
from tests.benchmarks.theme import CHARTS
from tests.pages import PAGES, ROOT

PACKAGE = Path(django_async_forms.__file__).parent
REFERENCE = (ROOT / "docs" / "reference.rst").read_text(encoding="utf-8")

#: The contract: the names that users import. Each exists and is in the reference.
PUBLIC_NAMES = [
    "admin.AsyncImageAdminMixin",
    "admin.AsyncImageAdminMixin.async_uploads",
    "admin.AsyncImageAdminMixin.drafts",
    "admin.AsyncImageAdminMixin.order_field",
    "admin.AsyncImageAdminMixin.several_images",
    "celery_delivery.CeleryDelivery",
    "celery_delivery.CeleryDelivery.in_background",
    "celery_delivery.CeleryDelivery.publish",
    "codec.deconstruct",
    "codec.reconstruct",
    "context.RequestContext",
    "context.RequestContext.capture",
    "context.RequestContext.restore",
    "drafts.DraftFile",
    "drafts.DraftGoneError",
    "drafts.claimable",
    "drafts.make_grant",
    "forms.AsyncImageFormMixin",
    "forms.AsyncImageFormMixin.ais_valid",
    "forms.AsyncImageFormMixin.asave",
    "forms.AsyncImageFormMixin.async_fields",
    "forms.AsyncImageFormMixin.async_when",
    "forms.AsyncImageFormMixin.drafts",
    "forms.AsyncImageFormMixin.get_async_fields",
    "forms.AsyncImageFormMixin.hide_staged",
    "forms.AsyncImageFormMixin.image_widget",
    "forms.AsyncImageFormMixin.keep_drafts",
    "forms.AsyncImageFormMixin.save",
    "forms.AsyncImageModelForm",
    "health.find_problems",
    "health.health",
    "health.ready",
    "health_check.UploadHealthCheck",
    "layout.AsyncImage",
    "log.JSONFormatter",
    "log.KeysFilter",
    "models.Upload",
    "models.Upload.get_field",
    "models.Upload.get_instance",
    "models.Upload.get_model",
    "models.Upload.objects",
    "models.Upload.open_staged",
    "models.Upload.using",
    "models.UploadQuerySet",
    "models.UploadQuerySet.discard",
    "models.UploadQuerySet.failed",
    "models.UploadQuerySet.for_instance",
    "models.UploadQuerySet.pending",
    "opentelemetry.observe",
    "prometheus.UploadCollector",
    "prometheus.metrics",
    "prometheus.observe",
    "prometheus.process_registry",
    "rest_framework.AsyncImageSerializerMixin",
    "rest_framework.AsyncImageSerializerMixin.ais_valid",
    "rest_framework.AsyncImageSerializerMixin.asave",
    "rest_framework.AsyncImageSerializerMixin.async_fields",
    "rest_framework.AsyncImageSerializerMixin.async_when",
    "rest_framework.AsyncImageSerializerMixin.get_async_fields",
    "rest_framework.AsyncImageSerializerMixin.hide_staged",
    "rest_framework.AsyncImageSerializerMixin.save",
    "rest_framework.ImageStateField",
    "signals.image_failed",
    "signals.image_saved",
    "status.aimage_status",
    "status.image_status",
    "status.prefetch_uploads",
    "storage.DatabaseStorage",
    "storage.StagingFileSystemStorage",
    "tasks.make_attempt",
    "tasks.recover_uploads",
    "tasks.save_image_task",
    "test.StagingStorageTests",
    "test.StagingStorageTests.get_storage",
    "test.save_pending_uploads",
    "uploadhandler.FlushingFileUploadHandler",
    "uploads.asave_image",
    "uploads.async_images",
    "uploads.save_image",
    "views.AsyncImageCreateView",
    "views.AsyncImageUpdateView",
    "views.AsyncImageViewMixin",
    "views.AsyncImageViewMixin.drafts",
    "views.AsyncImageViewMixin.fallback_template_name",
    "views.AsyncImageViewMixin.get_form_class",
    "views.AsyncImageViewMixin.get_template_names",
    "widgets.AsyncImageInput",
]


def documented_names():
    """Return the names of the package with a directive in the reference."""
    names = set()
    pattern = r"^ *\.\. (?:auto|py:)\w+:: (django_async_forms\.[\w.]+)(?:\(.*\))?\n((?: +:.*\n)*)"
    for name, options in re.findall(pattern, REFERENCE, re.M):
        names.add(name)
        members = re.search(r":members: (.+)", options)
        names |= {f"{name}.{member}" for member in members[1].split(", ")} if members else set()
    return sorted(names)


def find(name):
    """Return the object of a dotted name."""
    module, *attributes = name.split(".")[1:]
    found = importlib.import_module(f"django_async_forms.{module}")
    for attribute in attributes:
        found = getattr(found, attribute)
    return found


def is_documented(name):
    return f"django_async_forms.{name}" in documented_names()


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_each_public_name_exists_and_is_in_the_reference(name):
    find(f"django_async_forms.{name}")
    assert is_documented(name)


@pytest.mark.parametrize("name", documented_names())
def test_the_reference_names_public_names_only(name):
    assert name.removeprefix("django_async_forms.") in PUBLIC_NAMES


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_each_public_function_has_a_docstring(name):
    found = find(f"django_async_forms.{name}")
    assert inspect.getdoc(found) or not inspect.isroutine(found)


def test_each_setting_has_a_row_in_the_table():
    path = ROOT / "docs" / "_ext" / "settings_table.py"
    spec = importlib.util.spec_from_file_location("settings_table", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows = module.settings_rows()

    assert ".. settings-table::" in REFERENCE
    assert [key for key, _, _ in rows] == list(AsyncFormsSettings._fields)
    assert all(default and meaning.endswith(".") for _, default, meaning in rows)


def test_each_settings_key_that_a_page_names_exists():
    keys = set(AsyncFormsSettings._fields)
    prefixes = (
        *("MAX_ATTEMPTS", "MAX_BACKLOG", "MAX_BYTES", "MAX_DRAFT", "MAX_PIXELS", "MAX_RETRY_"),
        *("KEEP_", "PUBLISH_", "RECOVER_", "RESEND_", "RETRY_", "SHOW_", "SLOW_"),
    )
    for page in PAGES:
        for word in re.findall(r"``\"?([A-Z_]+)\"?``", page.read_text(encoding="utf-8")):
            assert not word.startswith(prefixes) or word in keys, f"{page.name}: {word}"


def test_each_system_check_is_in_the_reference():
    modules = sorted((PACKAGE / "checks").glob("*.py"))
    source = "".join(module.read_text(encoding="utf-8") for module in modules)
    ids = re.findall(r'id="django_async_forms\.([EW]\d{3})"', source)
    documented = re.findall(r"^``([EW]\d{3})``: ", REFERENCE, re.M)
    assert ids
    assert sorted(documented) == sorted(set(ids))
    for page in PAGES:
        named = re.findall(r"django_async_forms\.([EW]\d{3})", page.read_text(encoding="utf-8"))
        assert set(named) <= set(ids), page.name


def log_records():
    """Return the level and the text of each log record in the code of the package."""
    records = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and getattr(node.func.value, "id", None) == "logger"
            ):
                level = node.func.attr.upper().replace("EXCEPTION", "ERROR")
                records.add((level, ast.literal_eval(node.args[0])))
    return records


def test_each_log_record_is_in_the_reference_with_its_level():
    rows = re.findall(r"^   \* - ([A-Z]+)\n     - ``(.+)``\n", REFERENCE, re.M)
    assert set(rows) == log_records()


def test_each_log_record_has_an_event_and_a_key_for_each_argument():
    assert set(EVENTS) == {record for _, record in log_records()}
    for record, (_, *keys) in EVENTS.items():
        assert len(keys) == len(re.findall(r"%[\w.]+", record)), record


def test_the_reference_has_the_event_and_the_keys_of_each_log_record():
    rows = re.findall(r"^     - ``(.+)``\n     - ``([a-z_]+\.[a-z_]+)``(.*)\n", REFERENCE, re.M)
    documented = {record: (event, *re.findall(r"``(\w+)``", keys)) for record, event, keys in rows}
    assert documented == EVENTS


def test_each_task_is_in_the_reference():
    from celery import current_app

    names = {name for name in current_app.tasks if name.startswith("django_async_forms.")}
    part = REFERENCE[REFERENCE.index("\nTasks\n") : REFERENCE.index("\nAdmin\n")]
    assert names == set(re.findall(r"^``(django_async_forms\.\w+)``$", part, re.M))


def test_each_template_tag_is_in_the_reference():
    from django_async_forms.templatetags.async_forms import register

    names = {*register.tags, *register.filters}
    assert names == set(re.findall(r"^``{% (\w+) .*%}``$", REFERENCE, re.M)) - {"load"}


def test_each_subcommand_is_in_the_reference():
    from django_async_forms.management.commands.async_uploads import Command

    names = {name.removeprefix("handle_") for name in vars(Command) if name.startswith("handle_")}
    assert names == set(re.findall(r"manage\.py async_uploads (\w+)", REFERENCE))


def in_reference(pattern):
    """Return the names that the reference explains, each alone in its line or with others."""
    lines = re.findall(r"^``.+``$", REFERENCE, re.M)
    return {name for line in lines for name in re.findall(pattern, line)}


def files_of_the_package(folder):
    root = PACKAGE / folder
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_each_template_is_in_the_reference():
    named = set(re.findall(r"``((?:admin/)?django_async_forms/[\w/.-]+\.html)``", REFERENCE))
    assert named == files_of_the_package("templates")


def test_each_static_file_is_in_the_reference():
    named = in_reference(r"``(django_async_forms/[\w.-]+\.(?:js|css))``")
    assert named == files_of_the_package("static")


def test_each_event_is_in_the_reference():
    scripts = "".join(path.read_text("utf-8") for path in (PACKAGE / "static").rglob("*.js"))
    sent = set(re.findall(r'"(django-async-forms:\w+)"', scripts))
    assert in_reference(r"``(django-async-forms:\w+)``") == sent


def test_each_url_is_in_the_reference():
    names = {f"{urls.app_name}:{url.name}" for url in urls.urlpatterns}
    assert in_reference(r"``(django_async_forms:\w+)``") == names


@pytest.mark.django_db
def test_each_permission_is_in_the_reference():
    uploads = Permission.objects.filter(
        content_type__app_label="django_async_forms", content_type__model="upload"
    )
    names = {f"django_async_forms.{permission.codename}" for permission in uploads}
    # Users do not add uploads by hand.
    names.remove("django_async_forms.add_upload")
    assert in_reference(r"``(django_async_forms\.\w+_upload)``") == names


def test_each_command_is_in_the_reference():
    commands = {name for name, app in get_commands().items() if app == "django_async_forms"}
    assert commands == set(re.findall(r"^   \$ python manage\.py (\w+)", REFERENCE, re.M))


def test_each_signal_is_in_the_reference():
    signals = importlib.import_module("django_async_forms.signals")
    names = {name for name, value in vars(signals).items() if isinstance(value, Signal)}
    assert names == set(re.findall(r"autodata:: django_async_forms\.signals\.(\w+)", REFERENCE))


def test_each_extra_is_in_the_reference():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    part = REFERENCE[REFERENCE.index("\nExtras\n") : REFERENCE.index("\nSystem checks\n")]
    assert set(re.findall(r"``(\w+)``", part)) == set(config["options.extras_require"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_file_that_a_page_names_exists(page):
    names = re.findall(
        r"(?:^|[\s`\"$(])((?:\.ci|docs|tests|django_async_forms)/[\w./-]*[\w/])",
        page.read_text(encoding="utf-8"),
    )
    for name in names:
        templates = PACKAGE / "templates" / name, PACKAGE / "static" / name
        # The results of a build do not exist before it.
        is_made = name.startswith("docs/_build")
        assert is_made or any(path.exists() for path in (ROOT / name, *templates)), name


def test_each_image_of_the_pages_is_made_by_a_command():
    shown = {
        path
        for page in PAGES
        for path in re.findall(r"(?:image|figure)::.*images/(\S+)", page.read_text("utf-8"))
    }
    folder = ROOT / "docs" / "images"
    screenshots = re.findall(r'shoot\(page, "(\w+)"\)', (folder / "make.py").read_text("utf-8"))
    charts = {f"performance-{name}.svg" for name in CHARTS}  # By tests/benchmarks/run.
    assert shown <= {f"{name}.jpg" for name in screenshots} | charts
    kinds = {".jpg", ".png", ".svg", ".gif", ".webp"}
    there = {path.name for path in folder.iterdir() if path.suffix in kinds}
    assert there == {f"{name}.jpg" for name in screenshots} | charts


def test_the_changelog_begins_with_what_is_unreleased_or_with_this_version_and_its_date():
    changelog = (ROOT / "docs" / "changelog.rst").read_text(encoding="utf-8")
    heading = re.findall(r"^(.+)\n-+$", changelog, re.M)[0]
    version = re.escape(django_async_forms.__version__)
    assert re.fullmatch(rf"Unreleased|{version} - \d{{4}}-\d\d-\d\d", heading)
