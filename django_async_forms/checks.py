"""System checks: each way to misconfigure the package, found before an upload is."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from celery import current_app
from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.core.files.storage import FileSystemStorage, InMemoryStorage
from django.db import DEFAULT_DB_ALIAS, connections, router
from django.db.models import (
    BaseConstraint,
    CharField,
    FileField,
    Model,
    Q,
    TextField,
)
from django.forms.models import BaseModelForm

from .conf import conf
from .discovery import subclasses, target_fields, target_form_fields, target_forms, target_models
from .fields import file_field, file_fields
from .forms import AsyncImageFormMixin
from .models import Upload
from .storage import STAGING, DatabaseStorage, StagingFileSystemStorage, staging_storage
from .views import AsyncImageViewMixin

_ALIAS = f'STORAGES["{STAGING}"]'


@register()
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """ASYNC_FORMS has known keys with usable values."""
    try:
        conf()
    except (ImproperlyConfigured, TypeError, AttributeError) as error:
        return [Error(str(error), hint="See docs/reference.rst.", id="django_async_forms.E001")]
    return []


@register()
def check_staging(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """The staging storage works, is private, and is shared by web and worker processes."""
    try:
        storage = staging_storage(DEFAULT_DB_ALIAS)
    except Exception as error:
        return [
            Error(
                f"{_ALIAS} cannot be used: {error}",
                hint="Fix it, or remove it to keep uploads in the database until they are saved.",
                id="django_async_forms.E002",
            )
        ]
    if isinstance(storage, DatabaseStorage) and storage.using not in connections.settings:
        return [
            Error(
                f"{_ALIAS} names the database {storage.using!r}, which is not in DATABASES.",
                hint="Name another, or none: then each upload lies in its instance's database.",
                id="django_async_forms.E002",
            )
        ]
    if isinstance(storage, InMemoryStorage):
        return [
            Error(
                f"{_ALIAS} keeps files in the memory of one process: no worker would find them.",
                hint="Remove it to use the database, or choose a storage that processes share.",
                id="django_async_forms.E003",
            )
        ]
    if isinstance(storage, FileSystemStorage):
        return list(_check_folder(storage))
    return []


def _check_folder(storage: FileSystemStorage) -> Iterator[CheckMessage]:
    location = os.path.realpath(storage.location)
    for setting, public in _public_folders():
        if _is_inside(location, os.path.realpath(public)):
            yield Error(
                f"{_ALIAS} is inside {setting} ({location}): "
                "anyone could download unsaved uploads.",
                hint="Choose a private location.",
                id="django_async_forms.E004",
            )
    existing = location
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing) or not os.access(existing, os.W_OK | os.X_OK):
        yield Error(
            f"{_ALIAS} is at {location}, where this process may not write.",
            hint="Choose a folder that the web and worker processes can write to.",
            id="django_async_forms.E005",
        )
    elif isinstance(storage, StagingFileSystemStorage) and existing == location:
        mode = stat.S_IMODE(os.stat(location).st_mode)
        if mode & 0o077:
            yield Warning(
                f"{_ALIAS} is at {location}, which other users of the machine may enter "
                f"(mode {mode:04o}).",
                hint=f"Run: chmod 0700 {location}",
                id="django_async_forms.W006",
            )


def _public_folders() -> Iterator[tuple[str, str]]:
    for setting in ("MEDIA_ROOT", "STATIC_ROOT"):
        if folder := getattr(settings, setting, None):
            yield setting, str(folder)
    configured: dict[str, Any] = settings.STORAGES
    for alias, parameters in configured.items():
        location = parameters.get("OPTIONS", {}).get("location")
        if alias != STAGING and location:
            yield f'STORAGES["{alias}"]', str(location)


def _is_inside(location: str, public: str) -> bool:
    return os.path.commonpath([location, public]) == public


@register()
def check_forms(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Each form that has the mixin can keep its images back."""
    return [message for form_class in target_forms() for message in _check_form(form_class)]


def _check_form(form_class: type[Any]) -> Iterator[CheckMessage]:
    order = form_class.__mro__
    if order.index(BaseModelForm) < order.index(AsyncImageFormMixin):
        yield Error(
            f"{form_class.__qualname__} has AsyncImageFormMixin after ModelForm, so its images are "
            "saved in the request.",
            hint="Write the mixin first: class MyForm(AsyncImageFormMixin, ModelForm).",
            obj=form_class,
            id="django_async_forms.E007",
        )
    if form_class.async_when not in ("always", "replacing"):
        yield Error(
            f"{form_class.__qualname__}.async_when is {form_class.async_when!r}.",
            hint='Set it to "always" or "replacing".',
            obj=form_class,
            id="django_async_forms.E021",
        )
    model = form_class._meta.model
    for name in form_class.async_fields or ():
        try:
            file_field(model, name)
        except FieldDoesNotExist as error:
            yield Error(
                f"{form_class.__qualname__}.async_fields names {name!r}: {error}",
                hint="Name file fields of the model only.",
                obj=form_class,
                id="django_async_forms.E008",
            )
            continue
        if name not in form_class.base_fields:
            yield Error(
                f"{form_class.__qualname__}.async_fields names {name!r}, which the form leaves "
                "out.",
                hint="Add it to Meta.fields, or remove it from async_fields.",
                obj=form_class,
                id="django_async_forms.E009",
            )


@register()
def check_unique_fields(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """No image that is saved later must be unique: until then, it is empty."""
    return [
        Error(
            f"{field} is unique, but it is empty until a worker has saved it, and two instances "
            "cannot both be empty.",
            hint="Remove unique=True: a storage gives each file a name of its own.",
            obj=field,
            id="django_async_forms.E010",
        )
        for field in sorted(target_fields(), key=str)
        if field.unique
    ]


@register()
def check_constraints(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """No constraint looks at an image that is saved later: it would look too early."""
    return [
        Warning(
            f"The constraint {constraint.name!r} looks at {field}, which is empty, or the old "
            "image, until a worker has saved the new one.",
            hint="Remove the constraint, or leave the field out of the form's async_fields.",
            obj=field.model,
            id="django_async_forms.W017",
        )
        for field in sorted(target_fields(), key=str)
        for constraint in field.model._meta.constraints
        if field.name in _names_in(constraint)
    ]


def _names_in(constraint: BaseConstraint) -> set[str]:
    condition = getattr(constraint, "condition", None)
    names = condition.referenced_base_fields if isinstance(condition, Q) else ()
    return {*names, *getattr(constraint, "fields", ())}


@register()
def check_primary_keys(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Each primary key fits into the column of the outbox that keeps it as text."""
    models = {field.model for field in target_fields()}
    return [
        message
        for model in sorted(models, key=lambda model: model._meta.label)
        for message in _check_primary_key(model)
    ]


def _check_primary_key(model: type[Model]) -> Iterator[CheckMessage]:
    most: int = Upload._meta.get_field("object_pk").max_length or 0
    # A key of several columns is kept as one text.
    columns = [_column_of(field) for field in getattr(model._meta.pk, "fields", [model._meta.pk])]
    texts = [field for field in columns if isinstance(field, (CharField, TextField))]
    length = sum(field.max_length or 0 for field in texts)
    if any(isinstance(field, TextField) or field.max_length is None for field in texts):
        yield Warning(
            f"The primary key of {model._meta.label} is text of any length, and an upload keeps it "
            f"in {most} characters: an instance with a longer one cannot be saved with an image.",
            hint=f"Use a CharField with a max_length of at most {most}, or validate the length.",
            obj=model,
            id="django_async_forms.W020",
        )
    elif length > most:
        yield Error(
            f"The primary key of {model._meta.label} has up to {length} characters, and an "
            f"upload keeps it in {most}.",
            hint=f"Set its max_length to at most {most}, or leave the model's images out of "
            "async_fields.",
            obj=model,
            id="django_async_forms.E019",
        )


def _column_of(field: Any) -> Any:
    while field.remote_field:
        field = field.target_field
    return field


@register()
def check_translated_fields(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """
    No form saves the original of a field that django-modeltranslation translates.

    Assigning the original assigns the column of the active language, and reading it reads that one:
    a worker could not tell which of the columns the form meant.
    """
    messages = [
        Error(
            f"{form_class.__qualname__} saves {field}, which django-modeltranslation translates: a "
            "worker cannot tell the column of which language to write.",
            hint=f"Name the translated fields in the form, such as {translated!r}, or leave "
            f"{field.name!r} out of async_fields.",
            obj=form_class,
            id="django_async_forms.E018",
        )
        for form_class, field in target_form_fields()
        if (translated := _translation_of(field))
    ]
    return sorted(messages, key=lambda message: message.msg)


def _translation_of(field: FileField) -> str | None:
    for other in file_fields(field.model):
        if getattr(getattr(other, "translated_field", None), "name", None) == field.name:
            return other.name
    return None


@register()
def check_router(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """The outbox is allowed on every database that a target model is written to."""
    return [
        Error(
            f"{model._meta.label} is written to the database {using!r}, on which a router does "
            "not allow the tables of django_async_forms.",
            hint="Let allow_migrate() return True for the app label 'django_async_forms' there: "
            "an upload is kept in the database of its instance.",
            obj=model,
            id="django_async_forms.E011",
        )
        for using, model in target_models()
        # A router may allow neither for the moment: that of django-tenants, in the public schema.
        if router.allow_migrate_model(using, model)
        and not router.allow_migrate_model(using, Upload)
    ]


@register(Tags.database)
def check_tables(
    app_configs: Sequence[AppConfig] | None, databases: Iterable[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """The outbox's table is there. A warning, because ``migrate`` checks before it makes it."""
    return [
        Warning(
            f"{model._meta.label} is written to the database {using!r}, which has no table "
            f"{Upload._meta.db_table}: no upload can be kept there.",
            hint=f"Run: manage.py migrate --database {using}",
            obj=model,
            id="django_async_forms.W012",
        )
        for using, model in target_models()
        if using in (databases or ())
        and router.allow_migrate_model(using, Upload)
        and Upload._meta.db_table not in connections[using].introspection.table_names()
    ]


@register()
def check_celery(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """This process knows a Celery app, whose broker carries messages to other processes."""
    messages: list[CheckMessage] = []
    if current_app.conf.task_always_eager:
        return messages
    if current_app.main in (None, "default"):
        messages.append(
            Warning(
                "No Celery app is loaded, so uploads are sent to Celery's default broker.",
                hint="Import the app in the __init__.py of the project: from .celery import app. "
                "See docs.celeryq.dev, First steps with Django.",
                id="django_async_forms.W013",
            )
        )
    elif str(current_app.conf.broker_write_url or "").startswith("memory:"):
        messages.append(
            Warning(
                "Celery's broker is the memory of one process: no worker gets a message from it.",
                hint="Set CELERY_BROKER_URL to a broker that processes share.",
                id="django_async_forms.W014",
            )
        )
    if not {"json", "application/json"} & set(current_app.conf.accept_content or ()):
        messages.append(
            Error(
                "Celery's accept_content has no 'json', so workers refuse the messages of uploads.",
                hint="Add 'json' to it. A message holds the id of an upload and nothing else.",
                id="django_async_forms.E015",
            )
        )
    return messages


@register()
def check_crispy_forms(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """The package's own page finds the template tags that it uses."""
    views = [
        view
        for view in subclasses(AsyncImageViewMixin)
        if getattr(view, "template_name", "") is None
    ]
    if not views or apps.is_installed("crispy_forms"):
        return []
    return [
        Warning(
            f"{views[0].__qualname__} may use the page of django_async_forms, which needs "
            "crispy_forms, and that is not in INSTALLED_APPS.",
            hint="Add 'crispy_forms' to INSTALLED_APPS, or set template_name on the view.",
            id="django_async_forms.W016",
        )
    ]
