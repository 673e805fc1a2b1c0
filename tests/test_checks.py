"""The system checks report each misconfiguration before an upload meets it."""

import functools
import gc
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from celery import Celery, current_app
from django import forms
from django.contrib import admin
from django.contrib.admin.sites import AdminSite
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection, models
from django.db.models.functions import Lower
from django.db.models.lookups import Exact
from django.forms import BaseModelForm, modelform_factory
from django.test.utils import isolate_apps
from django.urls import path
from django.views.generic import CreateView, FormView

from django_async_forms.admin import AsyncImageAdminMixin
from django_async_forms.forms import AsyncImageFormMixin, AsyncImageModelForm
from django_async_forms.tasks import recover_uploads
from django_async_forms.views import AsyncImageCreateView, AsyncImageUpdateView, AsyncImageViewMixin
from tests.project.models import Album, Document, Photo

# Django's own checks, which run with ours, query the databases.
pytestmark = pytest.mark.django_db(databases=["default", "other"])

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def own_classes():
    """Isolates the models of a test, and removes its forms and views, which the checks know."""
    with isolate_apps("tests.project"):
        yield
    gc.collect()


def found(number):
    """Run the checks as Django does, and return the messages of one of ours."""
    return [message for message in run_checks() if message.id == f"django_async_forms.{number}"]


FILES = "django_async_forms.storage.StagingFileSystemStorage"
DATABASE = "django_async_forms.storage.DatabaseStorage"


# ASYNC_FORMS


def test_a_key_that_does_not_exist_is_found(settings):
    settings.ASYNC_FORMS = {"MAX_TRIES": 3}

    (message,) = found("E001")

    assert "ASYNC_FORMS" in message.msg
    assert "MAX_TRIES" in message.msg
    assert "MAX_ATTEMPTS" in message.msg
    assert message.hint


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("MAX_ATTEMPTS", 0),
        ("MAX_ATTEMPTS", -1),
        ("MAX_ATTEMPTS", True),
        ("MAX_ATTEMPTS", None),
        ("RETRY_PAUSE", "2"),
        ("KEEP_FAILED", float("inf")),
        ("KEEP_FAILED", 1e300),
        ("RESEND_AFTER", float("nan")),
        ("RECOVER_BATCH", 10.5),
        ("STATUS_MAX_AGE", 0),
        ("STATUS_MAX_AGE", "3600"),
        ("MAX_BYTES", 0),
        ("MAX_BYTES", -1),
        ("MAX_BYTES", 5e6),
        ("MAX_BYTES", "5 MB"),
        ("MAX_BYTES", 2**51),
        ("MAX_PIXELS", 0),
        ("MAX_PIXELS", True),
        ("MAX_BACKLOG", 0),
        ("MAX_BACKLOG", 2.5),
        ("CHECKSUM", 1),
        ("CHECKSUM", None),
        ("SHOW_STAGED", "yes"),
    ],
)
def test_a_value_that_cannot_be_used_is_found(settings, key, value):
    settings.ASYNC_FORMS = {key: value}

    (message,) = found("E001")

    assert f"ASYNC_FORMS['{key}']" in message.msg
    assert repr(value) in message.msg


@pytest.mark.parametrize(
    "value", [[], "JPEG", ["JPG"], ["jpeg"], ["JPEG", ""], ["JPEG", 5], [["JPEG"]], {"JPEG"}, True]
)
def test_formats_that_pillow_does_not_read_are_found(settings, value):
    settings.ASYNC_FORMS = {"FORMATS": value}

    (message,) = found("E001")

    assert 'ASYNC_FORMS["FORMATS"]' in message.msg
    assert repr(value) in message.msg
    assert "JPEG, " in message.msg


@pytest.mark.parametrize(
    "value",
    [
        "django_async_forms.log.keys_of",
        ["django_async_forms.log.missing"],
        ["django_async_forms.log.EVENTS"],
        [5],
        None,
    ],
)
def test_telemetry_that_cannot_be_called_is_found(settings, value):
    settings.ASYNC_FORMS = {"TELEMETRY": value}

    (message,) = found("E001")

    assert 'ASYNC_FORMS["TELEMETRY"]' in message.msg
    assert repr(value) in message.msg


@pytest.mark.parametrize(
    "keys",
    [
        {"MAX_ATTEMPTS": 3, "RETRY_PAUSE": 0.5, "KEEP_FAILED": 3650 * 24 * 3600},
        {"MAX_BYTES": None, "MAX_PIXELS": None, "FORMATS": None, "MAX_BACKLOG": None},
        {"MAX_BYTES": 5_000_000, "MAX_PIXELS": 1, "MAX_BACKLOG": 10_000},
        {"FORMATS": ["JPEG", "PNG", "WEBP"]},
        {"FORMATS": ("GIF",)},
    ],
    ids=["recovery", "no limits", "limits", "a list of formats", "a tuple of formats"],
)
def test_good_settings_are_left_alone(settings, keys):
    settings.ASYNC_FORMS = keys

    assert found("E001") == []


@pytest.mark.parametrize("value", [None, ["MAX_ATTEMPTS"], "MAX_ATTEMPTS"])
def test_async_forms_that_is_not_a_dict_is_found(settings, value):
    settings.ASYNC_FORMS = value

    (message,) = found("E001")

    assert "ASYNC_FORMS" in message.msg
    assert "dict" in message.msg


# The staging storage


@pytest.mark.parametrize(
    ("backend", "options"),
    [
        ("project.storages.Missing", {}),
        (FILES, {}),
        (FILES, {"place": "/srv/staging"}),
        (FILES, {"location": 5}),
        (DATABASE, {"using": "nowhere"}),
    ],
    ids=["no such class", "no location", "no such option", "no path", "no such database"],
)
def test_a_staging_storage_that_cannot_be_used_is_found(use_staging_storage, backend, options):
    use_staging_storage(backend, **options)

    (message,) = found("E002")

    assert 'STORAGES["async_forms"]' in message.msg
    assert message.hint


def test_a_staging_storage_in_process_memory_is_found(use_staging_storage):
    use_staging_storage("django.core.files.storage.InMemoryStorage")

    (message,) = found("E003")

    assert 'STORAGES["async_forms"]' in message.msg
    assert message.hint


@pytest.mark.parametrize("setting", ["MEDIA_ROOT", "STATIC_ROOT"])
@pytest.mark.parametrize("folder", ["", "staging", "a/b"])
def test_a_staging_folder_that_is_public_is_found(
    settings, use_staging_storage, tmp_path, setting, folder
):
    setattr(settings, setting, tmp_path / "public")
    use_staging_storage(FILES, location=tmp_path / "public" / folder)

    (message,) = found("E004")

    assert 'STORAGES["async_forms"]' in message.msg
    assert setting in message.msg
    assert str(tmp_path / "public" / folder) in message.msg
    assert message.hint


def test_a_staging_folder_that_is_public_through_a_link_is_found(
    settings, use_staging_storage, tmp_path
):
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.MEDIA_ROOT.mkdir()
    (tmp_path / "staging").symlink_to(settings.MEDIA_ROOT)
    use_staging_storage(FILES, location=tmp_path / "staging")

    assert found("E004")


def test_a_plain_file_system_storage_that_is_left_at_media_root_is_found(use_staging_storage):
    use_staging_storage("django.core.files.storage.FileSystemStorage")

    assert found("E004")


def test_a_staging_folder_in_the_folder_of_the_default_storage_is_found(
    use_staging_storage, use_final_storage, tmp_path
):
    use_final_storage("django.core.files.storage.FileSystemStorage", location=tmp_path / "srv")
    use_staging_storage(FILES, location=tmp_path / "srv" / "staging")

    (message,) = found("E004")

    assert 'STORAGES["default"]' in message.msg


@pytest.mark.parametrize("parameters", [None, {}, {"OPTIONS": None}])
def test_another_storage_that_cannot_be_used_is_left_to_django(
    settings, use_staging_storage, tmp_path, parameters
):
    use_staging_storage(FILES, location=tmp_path / "staging")
    settings.STORAGES = {**settings.STORAGES, "archive": parameters}

    assert found("E004") == []


def test_a_folder_beside_media_root_is_private(settings, use_staging_storage, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    use_staging_storage(FILES, location=tmp_path / "media-staging")

    assert found("E004") == []


def test_a_staging_folder_that_cannot_be_made_is_found(use_staging_storage, tmp_path):
    (tmp_path / "file").touch()
    use_staging_storage(FILES, location=tmp_path / "file" / "staging")

    (message,) = found("E005")

    assert str(tmp_path / "file" / "staging") in message.msg
    assert message.hint


def test_a_staging_folder_that_others_may_enter_is_found(use_staging_storage, tmp_path):
    (tmp_path / "staging").mkdir()
    (tmp_path / "staging").chmod(0o755)
    use_staging_storage(FILES, location=tmp_path / "staging")

    (message,) = found("W006")

    assert str(tmp_path / "staging") in message.msg
    assert "0755" in message.msg
    assert "chmod" in message.hint


@pytest.mark.parametrize("is_made", [False, True])
def test_a_private_staging_folder_is_left_alone(use_staging_storage, tmp_path, is_made):
    if is_made:
        (tmp_path / "staging").mkdir(mode=0o700)
    use_staging_storage(FILES, location=tmp_path / "staging")

    assert not any(found(number) for number in STAGING)


STAGING = ["E002", "E003", "E004", "E005", "W006"]


def test_the_default_staging_storage_is_left_alone():
    assert not any(found(number) for number in STAGING)


# Forms


def about(form_class, number):
    return [message for message in found(number) if message.obj is form_class]


def test_the_mixin_after_model_form_is_found():
    class LateForm(forms.ModelForm, AsyncImageFormMixin):
        class Meta:
            model = Photo
            fields = ["title", "image"]

    (message,) = about(LateForm, "E007")

    assert "LateForm" in message.msg
    assert "first" in message.hint


@pytest.mark.parametrize("name", ["title", "imge"])
def test_async_fields_that_are_not_file_fields_are_found(name):
    class OddForm(AsyncImageModelForm):
        async_fields = [name]

        class Meta:
            model = Photo
            fields = ["title", "image"]

    (message,) = about(OddForm, "E008")

    assert "OddForm.async_fields" in message.msg
    assert repr(name) in message.msg
    assert "image" in message.msg
    assert message.hint


def test_a_hidden_image_that_is_not_a_file_field_is_found():
    class HidingForm(AsyncImageModelForm):
        hide_staged = ["imge"]

        class Meta:
            model = Photo
            fields = ["title", "image"]

    (message,) = about(HidingForm, "E008")

    assert "HidingForm.hide_staged names 'imge'" in message.msg


def test_async_fields_that_the_form_leaves_out_are_found():
    class PartialForm(AsyncImageModelForm):
        async_fields = ["scan"]

        class Meta:
            model = Document
            fields = ["title", "file"]

    (message,) = about(PartialForm, "E009")

    assert "PartialForm.async_fields" in message.msg
    assert "'scan'" in message.msg
    assert message.hint


@pytest.mark.parametrize("when", ["replaced", None])
def test_an_unknown_async_when_is_found(when):
    class WheneverForm(AsyncImageModelForm):
        async_when = when

        class Meta:
            model = Photo
            fields = ["image"]

    (message,) = about(WheneverForm, "E021")
    assert f"WheneverForm.async_when is {when!r}" in message.msg
    assert '"always" or "replacing"' in message.hint


@pytest.mark.parametrize("attribute", ["async_fields", "hide_staged"])
def test_names_that_are_one_string_are_found(attribute):
    class StringForm(AsyncImageModelForm):
        class Meta:
            model = Photo
            fields = ["title", "image"]

    setattr(StringForm, attribute, "image")

    messages = about(StringForm, "E008")

    assert messages
    assert f"StringForm.{attribute}" in messages[0].msg


def test_properties_of_a_form_are_left_alone():
    class DependingForm(AsyncImageModelForm):
        async_fields = hide_staged = async_when = property(lambda form: form.instance.choice)

        class Meta:
            model = Photo
            fields = ["title", "image"]

    class BareForm(AsyncImageFormMixin, BaseModelForm):
        """A base without Django's metaclass, as those of some libraries."""

    assert [message for message in run_checks() if message.obj in (DependingForm, BareForm)] == []


def test_good_forms_are_left_alone():
    class GoodForm(AsyncImageFormMixin, forms.ModelForm):
        async_fields = ["file", "scan"]

        class Meta:
            model = Document
            fields = ["title", "file", "scan"]

    class WithoutModel(AsyncImageModelForm):
        """A base for other forms."""

    for form_class in (GoodForm, WithoutModel):
        assert not any(about(form_class, number) for number in ("E007", "E008", "E009"))


# Models


def make_model(name, /, **columns):
    """Return a model of the test project with these columns."""
    meta = type("Meta", (), {"app_label": "project"})
    return type(name, (models.Model,), {"__module__": __name__, "Meta": meta, **columns})


@pytest.fixture
def unique():
    """A model with an image that must be unique, which no form can leave out."""
    return make_model(
        "Unique",
        album=models.ForeignKey(Album, models.CASCADE, null=True),
        image=models.ImageField(unique=True),
        other=models.ImageField(),
    )


def about_its_image(model):
    return about(model._meta.get_field("image"), "E010")


def test_a_unique_image_is_found(unique):
    _form = modelform_factory(unique, AsyncImageModelForm, fields=["image"])

    (message,) = about_its_image(unique)

    assert "Unique.image" in message.msg
    assert message.hint


def test_a_unique_image_that_is_saved_in_the_request_is_left_alone(unique):
    class OtherForm(AsyncImageModelForm):
        async_fields = ["other"]

        class Meta:
            model = unique
            fields = ["image", "other"]

    assert about_its_image(unique) == []


def test_a_constraint_that_looks_at_an_image_is_found():
    class Constrained(models.Model):
        link = models.CharField(max_length=100)
        image = models.ImageField()
        other = models.ImageField()

        class Meta:
            app_label = "project"
            constraints = [
                models.CheckConstraint(
                    condition=~models.Q(link="") | ~models.Q(image=""), name="has_image"
                ),
                models.CheckConstraint(condition=~models.Q(link="x"), name="has_link"),
                models.UniqueConstraint("link", name="one_link"),
                models.UniqueConstraint(fields=["link", "other"], name="one_pair"),
                models.UniqueConstraint("link", Lower("other"), name="one_lower_pair"),
                models.CheckConstraint(condition=Exact(models.F("other"), "x"), name="is_x"),
            ]
            unique_together = [("link", "image")]

    class ConstrainedForm(AsyncImageModelForm):
        class Meta:
            model = Constrained
            fields = ["link", "image", "other"]

    messages = about(Constrained, "W017")

    assert [message.msg.partition(",")[0] for message in messages] == [
        "The constraint 'has_image' uses project.Constrained.image",
        "The unique_together of 'link' and 'image' uses project.Constrained.image",
        "The constraint 'one_pair' uses project.Constrained.other",
        "The constraint 'one_lower_pair' uses project.Constrained.other",
        "The constraint 'is_x' uses project.Constrained.other",
    ]
    assert all(message.hint for message in messages)


def keyed_by(**columns):
    """Return a model with this primary key, and a form for its image."""
    model = make_model("Keyed", image=models.ImageField(), **columns)
    return model, modelform_factory(model, AsyncImageModelForm, fields=["image"])


def long_key():
    return keyed_by(primary_key=models.CharField(max_length=256, primary_key=True))


def key_that_points_to_a_long_one():
    named = make_model("Named", name=models.CharField(max_length=300, primary_key=True))
    return keyed_by(primary_key=models.OneToOneField(named, models.CASCADE, primary_key=True))


def key_of_columns_that_are_too_long_together():
    return keyed_by(
        pk=models.CompositePrimaryKey("shelf", "position"),
        shelf=models.CharField(max_length=200),
        position=models.CharField(max_length=100),
    )


@pytest.mark.parametrize(
    "make", [long_key, key_that_points_to_a_long_one, key_of_columns_that_are_too_long_together]
)
def test_a_primary_key_that_is_longer_than_the_outbox_keeps_is_found(make):
    model, _form = make()

    (message,) = about(model, "E019")

    assert re.search(r"project\.Keyed has up to (256|30\d) characters", message.msg)
    assert "255" in message.msg
    assert message.hint


def test_a_primary_key_of_unlimited_text_is_warned_about():
    model, _form = keyed_by(primary_key=models.TextField(primary_key=True))

    (message,) = about(model, "W020")

    assert "project.Keyed" in message.msg
    assert about(model, "E019") == []


@pytest.mark.parametrize(
    "key",
    [
        lambda: models.CharField(max_length=255, primary_key=True),
        lambda: models.UUIDField(primary_key=True),
        lambda: models.BigAutoField(primary_key=True),
        lambda: models.OneToOneField(Photo, models.CASCADE, primary_key=True),
    ],
)
def test_a_primary_key_that_fits_is_left_alone(key):
    model, _form = keyed_by(primary_key=key())

    assert about(model, "E019") == about(model, "W020") == []


def translated(field):
    """Return a field as django-modeltranslation makes it for German."""
    of_german = models.ImageField()
    of_german.translated_field = field
    return of_german


def test_a_form_with_the_original_of_a_translated_field_is_found():
    image = models.ImageField()
    translated_model = make_model("Translated", image=image, image_de=translated(image))

    class OriginalForm(AsyncImageModelForm):
        class Meta:
            model = translated_model
            fields = ["image"]

    class GermanForm(AsyncImageModelForm):
        class Meta:
            model = translated_model
            fields = ["image_de"]

    (message,) = about(OriginalForm, "E018")

    assert "OriginalForm saves project.Translated.image" in message.msg
    assert "image_de" in message.hint
    assert about(GermanForm, "E018") == []


def test_an_admin_that_replaces_the_originals_is_left_alone():
    image = models.ImageField()
    translated_model = make_model("Translated", image=image, image_de=translated(image))

    class OriginalAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
        pass

    class TranslatedAdmin(OriginalAdmin):
        def replace_orig_field(self, names):
            return ["image_de" if name == "image" else name for name in names]

    for admin_class, count in ((OriginalAdmin, 1), (TranslatedAdmin, 0)):
        site = AdminSite()
        site.register(translated_model, admin_class)
        assert len(found("E018")) == count
        del site
        gc.collect()


def only_in_the_admin(unique):
    class UniqueAdmin(admin.ModelAdmin):
        form = AsyncImageModelForm

    site = AdminSite()
    site.register(unique, UniqueAdmin)
    return site


def only_in_an_inline(unique):
    class OwnForm(forms.ModelForm):
        pass

    class UniqueInline(AsyncImageAdminMixin, admin.TabularInline):
        model = unique
        form = OwnForm

    class OwnAdmin(admin.ModelAdmin):
        inlines = [UniqueInline]

    site = AdminSite()
    site.register(Album, OwnAdmin)
    return site


def as_the_model_of_a_view(unique):
    class UniqueView(AsyncImageCreateView):
        model = unique
        fields = ["image"]

    return UniqueView


def as_the_queryset_of_a_view(unique):
    class UniqueView(AsyncImageUpdateView):
        queryset = unique._default_manager.all()
        fields = ["image"]

    return UniqueView


def in_the_form_of_a_view(unique):
    class UniqueView(AsyncImageViewMixin, FormView):
        form_class = modelform_factory(unique, fields=["image"])

    return UniqueView


@pytest.mark.parametrize(
    "use",
    [
        only_in_the_admin,
        only_in_an_inline,
        as_the_model_of_a_view,
        as_the_queryset_of_a_view,
        in_the_form_of_a_view,
    ],
)
def test_a_model_is_checked_wherever_the_project_uses_it(use, unique):
    _user = use(unique)

    assert len(about_its_image(unique)) == 1


def test_a_view_without_a_form_class_does_not_stop_the_checks():
    class PlainForm(forms.Form):
        image = forms.ImageField()

    class PlainView(AsyncImageViewMixin, FormView):
        form_class = PlainForm

    class LaterView(AsyncImageViewMixin, FormView):
        def get_form_class(self):
            return PhotoForm

    class NoView(AsyncImageViewMixin):
        """A base for a project's own views."""

    class DependingView(AsyncImageUpdateView):
        form_class = model = fields = queryset = property(lambda view: view.request.choice)

    class FormDependingView(AsyncImageUpdateView):
        model = Photo
        form_class = fields = property(lambda view: view.request.choice)

    assert [message for message in run_checks() if message.is_serious()] == []


# Databases


class PhotoForm(AsyncImageModelForm):
    class Meta:
        model = Photo
        fields = ["title", "image"]


class AlbumView(AsyncImageViewMixin, CreateView):
    model = Album
    fields = ["name", "cover"]


class NoOutboxElsewhere:
    """Allows this package's tables in the default database only, and has photos in the second."""

    def db_for_write(self, model, **hints):
        return "other" if model in (Photo, Album) else None

    def allow_migrate(self, db, app_label, **hints):
        return not (app_label == "django_async_forms" and db == "other")


@pytest.mark.parametrize("model", [Photo, Album])
def test_a_router_that_keeps_the_outbox_off_a_database_is_found(settings, model):
    settings.DATABASE_ROUTERS = ["tests.test_checks.NoOutboxElsewhere"]

    (message,) = about(model, "E011")

    assert model._meta.label in message.msg
    assert "'other'" in message.msg
    assert "allow_migrate" in message.hint


class NothingHere:
    """Allows no table, like django-tenants' router in the public schema."""

    def allow_migrate(self, db, app_label, **hints):
        return False


def test_a_router_that_allows_neither_the_model_nor_the_outbox_is_left_alone(settings):
    settings.DATABASE_ROUTERS = ["tests.test_checks.NothingHere"]

    assert found("E011") == []


def test_a_router_that_allows_the_outbox_is_left_alone():
    assert found("E011") == []


# SQLite


@pytest.fixture
def sqlite(monkeypatch):
    """Changes the settings of the test's database, which is a file."""
    if connection.vendor != "sqlite":
        pytest.skip("The other databases lock rows.")
    return functools.partial(monkeypatch.setitem, connection.settings_dict)


@pytest.mark.parametrize(
    "options", [{}, {"transaction_mode": None}, {"transaction_mode": "deferred"}]
)
def test_sqlite_without_immediate_transactions_is_found_once_for_all_models(sqlite, options):
    sqlite("OPTIONS", options)

    (message,) = found("W023")

    assert "'default'" in message.msg
    assert '"transaction_mode": "IMMEDIATE"' in message.hint
    assert 'DATABASES["default"]["OPTIONS"]' in message.hint


@pytest.mark.parametrize("mode", ["IMMEDIATE", "immediate", "EXCLUSIVE"])
def test_sqlite_that_takes_its_lock_as_a_transaction_begins_is_left_alone(sqlite, mode):
    sqlite("OPTIONS", {"transaction_mode": mode})

    assert found("W023") == []


@pytest.mark.parametrize("name", [":memory:", "file:memorydb_default?mode=memory&cache=shared"])
def test_sqlite_in_memory_which_has_no_other_process_is_left_alone(sqlite, name):
    sqlite("OPTIONS", {})
    sqlite("NAME", name)

    assert found("W023") == []


def test_the_settings_of_this_project_are_left_alone():
    assert found("W023") == []


# Celery


@pytest.fixture
def celery_app():
    """Makes another Celery app the current one until the end of the test."""
    previous = current_app._get_current_object()
    made = []

    def make(*args, **kwargs):
        app = Celery(*args, **kwargs)
        made.append(app)
        app.set_current()
        app.set_default()
        return app

    yield make
    for app in made:
        app.close()
    previous.set_current()
    previous.set_default()


def test_a_project_without_a_celery_app_is_found(celery_app):
    celery_app()

    (message,) = found("W013")

    assert "No Celery app" in message.msg
    assert "from .celery import app" in message.hint


def test_a_broker_in_process_memory_is_found(celery_app):
    celery_app("project", broker="memory://")

    (message,) = found("W014")

    assert "CELERY_BROKER_URL" in message.hint


@pytest.mark.parametrize("accepted", [["pickle"], []])
def test_workers_that_do_not_accept_json_are_found(celery_app, accepted):
    celery_app("project").conf.accept_content = accepted

    (message,) = found("E015")

    assert "accept_content" in message.msg
    assert message.hint


@pytest.mark.parametrize("accepted", [["json"], ["application/json"], ["pickle", "json"]])
def test_a_good_celery_app_is_left_alone(celery_app, accepted):
    celery_app("project", broker="redis://localhost").conf.accept_content = accepted

    assert not any(found(number) for number in ("W013", "W014", "E015"))


@pytest.mark.parametrize("broker", ["nosuch://localhost", "redis://localhost"])
def test_a_broker_whose_client_is_not_installed_is_found(celery_app, broker, monkeypatch):
    monkeypatch.setattr("kombu.transport.redis.redis", None)
    celery_app("project", broker=broker)

    (message,) = found("W024")

    assert "stay pending" in message.msg
    assert "CELERY_BROKER_URL" in message.hint


@pytest.mark.parametrize("broker", ["redis://nowhere.invalid", "filesystem://", "memory://"])
def test_a_broker_that_celery_can_use_is_left_alone(celery_app, broker):
    celery_app("project", broker=broker)

    assert found("W024") == []


def test_eager_tasks_need_no_broker(celery_app):
    celery_app("project", broker="memory://").conf.task_always_eager = True

    assert not any(found(number) for number in ("W013", "W014", "E015"))


# Beat

EVERY_MINUTE = {"task": "django_async_forms.recover_uploads", "schedule": 60}


def test_a_schedule_without_the_recovery_is_found(celery_app):
    celery_app("project").conf.beat_schedule = {"clean": {"task": "clean", "schedule": 60}}

    (message,) = found("W022")

    assert "django_async_forms.recover_uploads" in message.msg
    assert "CELERY_BEAT_SCHEDULE" in message.hint
    assert "SILENCED_SYSTEM_CHECKS" in message.hint


def in_the_settings(app):
    app.conf.beat_schedule = {"recover": EVERY_MINUTE}


def by_a_receiver(app):
    @app.on_after_finalize.connect(weak=False)
    def add(sender, **kwargs):
        sender.add_periodic_task(60, recover_uploads.s(), name="recover")


def for_one_database(app):
    app.conf.beat_schedule = {"recover": {**EVERY_MINUTE, "args": ["default"]}}


def eager(app):
    app.conf.task_always_eager = True


@pytest.mark.parametrize("add", [in_the_settings, by_a_receiver, for_one_database, eager])
def test_a_recovery_that_is_scheduled_or_not_needed_is_left_alone(celery_app, add):
    add(celery_app("project", broker="memory://"))

    assert found("W022") == []


def test_a_project_without_a_celery_app_is_told_of_that_first(celery_app):
    celery_app()

    assert found("W013")
    assert found("W022") == []


# Templates


def test_crispy_forms_that_is_not_installed_is_found(settings):
    settings.INSTALLED_APPS = [
        name for name in settings.INSTALLED_APPS if not name.startswith("crispy")
    ]

    (message,) = found("W016")

    assert "crispy_forms" in message.msg
    assert "INSTALLED_APPS" in message.hint


@pytest.mark.parametrize("name", ["default", "own"])
def test_crispy_forms_is_needed_by_a_view_that_only_the_urls_name(settings, name):
    view = AsyncImageCreateView.as_view(**({} if name == "default" else {"template_name": "own"}))
    settings.ROOT_URLCONF = (path("photos/add/", view),)
    settings.INSTALLED_APPS = [
        name for name in settings.INSTALLED_APPS if not name.startswith("crispy")
    ]

    named = re.findall(r"[\w.]+", " ".join(message.msg for message in found("W016")))

    assert ("AsyncImageCreateView" in named) is (name == "default")


def test_crispy_forms_that_is_installed_is_left_alone():
    assert found("W016") == []


# The test project, as its developer sees it


def manage(tmp_path, *arguments):
    """Run a management command on the test project, with new empty databases."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.project.settings",
        "TEST_DATA": str(tmp_path),
        "TEST_DATABASE": "sqlite",
    }
    return subprocess.run(
        [sys.executable, "-m", "django", *arguments],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )


A_NEW_PROJECT = """
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django_async_forms", "tests.project"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    ROOT_URLCONF="tests.late_urls",
    DATABASE="sqlite",  # For a model of the tests.
)
django.setup()
from django_async_forms import checks

databases = checks.check_databases(None, databases=["default"])
print([message.id for message in [*databases, *checks.check_project(None)]])
"""


def test_forms_that_only_the_urls_import_are_found_whichever_check_django_runs_first():
    out = subprocess.check_output([sys.executable, "-c", A_NEW_PROJECT], cwd=ROOT, text=True)

    assert "django_async_forms.W012" in out
    assert "django_async_forms.E007" in out


def test_a_missing_table_is_found(tmp_path):
    out = manage(tmp_path, "check", "--database", "default").stderr

    assert "django_async_forms.W012" in out
    assert "project.Photo is written to the database 'default'" in out
    assert "migrate --database default" in out


def test_a_new_project_can_be_migrated_and_then_has_no_issues(tmp_path):
    for database in ("default", "other"):
        manage(tmp_path, "migrate", "--database", database)

    out = manage(
        tmp_path, "check", "--fail-level", "WARNING", "--database", "default", "--database", "other"
    ).stdout

    assert "no issues" in out


@pytest.mark.django_db(databases=["default", "other"])
def test_the_migrations_are_those_of_the_models():
    call_command("makemigrations", "django_async_forms", "--check", "--dry-run")
