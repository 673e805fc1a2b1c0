"""The SQL statements of a save and of a task. The tests list each one, so a new one is noticed."""

import re
from contextlib import contextmanager

import pytest
from django.db import connection
from django.db.models.signals import post_save
from django.test.utils import CaptureQueriesContext

from django_async_forms import chunks
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.tasks import recover_uploads, save_image_task
from tests.project.models import OnlyImages, Photo

pytestmark = pytest.mark.django_db(transaction=True)

TABLES = {
    "project_photo": "photo",
    "project_onlyimages": "photo",
    "django_async_forms_upload": "upload",
    "django_async_forms_draft": "draft",
    "django_async_forms_storedchunk": "chunk",
    "django_async_forms_abandonedname": "name",
}
#: The only row of a small image, whose name is free without a look.
STAGE_IN_DATABASE = ["INSERT chunk"]
#: Counts an attempt. MySQL and MariaDB cannot return the updated row.
START = ["UPDATE upload"] if connection.vendor != "mysql" else ["UPDATE upload", "SELECT upload"]
#: Deletes the rows of a file. On MySQL and MariaDB, only a DELETE by key locks nothing beside them.
DELETE_CHUNKS = ["SELECT chunk"] * (connection.vendor == "mysql") + ["DELETE chunk"]
#: Writes the image, and deletes the upload and its staged bytes.
AT_ONCE = ["WITH photo"]


@pytest.fixture(autouse=True)
def sent(publish_by):
    """Sends uploads to a list in place of a broker."""
    sent = []
    publish_by(sent.append)
    return sent


class _Noting:
    """A cursor of the rows of ``DatabaseStorage``, which Django's log does not see."""

    def __init__(self, cursor, log):
        self._cursor = cursor
        self._log = log

    def execute(self, sql, *args, **kwargs):
        self._log.append({"sql": sql})
        return self._cursor.execute(sql, *args, **kwargs)

    def fetchone(self):
        return self._cursor.fetchone()

    def fetchall(self):
        return self._cursor.fetchall()


@pytest.fixture
def statements(monkeypatch):
    """Notes the statements that are sent to the database: ``with statements() as noted``."""
    open_cursor = chunks._cursor

    @contextmanager
    def noting_cursor(connection):
        with open_cursor(connection) as cursor:
            yield _Noting(cursor, connection.queries_log)

    monkeypatch.setattr(chunks, "_cursor", noting_cursor)

    @contextmanager
    def capture():
        noted = []
        with CaptureQueriesContext(connection) as context:
            yield noted
        noted += [_in_short(query["sql"]) for query in context.captured_queries]

    return capture


def _in_short(sql):
    """Return the verb and the table of a statement: "INSERT photo"."""
    verb = sql.split(maxsplit=1)[0].upper()
    names = re.findall("|".join(TABLES), sql)
    lock = " FOR UPDATE" if sql.endswith("FOR UPDATE") else ""
    return f"{verb} {TABLES[names[0]]}{lock}" if names else verb


class PhotoForm(AsyncImageModelForm):
    class Meta:
        model = Photo
        fields = ["title", "image"]


class TwoImagesForm(AsyncImageModelForm):
    class Meta:
        model = OnlyImages
        fields = ["front", "back"]


def a_valid(form):
    assert form.is_valid(), form.errors
    return form


def stage(staging):
    return STAGE_IN_DATABASE if staging == "database" else []


each_form = pytest.mark.parametrize(
    ("form_class", "columns", "names"),
    [(PhotoForm, {"title": "Dune"}, ["image"]), (TwoImagesForm, {}, ["front", "back"])],
    ids=["one image", "two images"],
)


@each_form
def test_the_statements_of_creating(statements, staging, in_memory, form_class, columns, names):
    form = a_valid(form_class(columns, {name: in_memory() for name in names}))

    with statements() as noted:
        form.save()

    one_image = [*stage(staging), "INSERT upload"]
    assert noted == ["BEGIN", "INSERT photo", *one_image * len(names), "COMMIT"]


@each_form
def test_the_statements_of_updating(statements, staging, in_memory, form_class, columns, names):
    old = form_class._meta.model.objects.create(**{name: f"{name}.jpg" for name in names})
    form = a_valid(form_class(columns, {name: in_memory() for name in names}, instance=old))

    with statements() as noted:
        form.save()

    # The last statement looks for an older upload.
    one_image = [*stage(staging), "INSERT upload", "SELECT upload"]
    # A row of nothing but images has no column to write. The update locks the row.
    assert noted == ["BEGIN", "UPDATE photo", *one_image * len(names), "COMMIT"]


def test_saving_without_a_new_image_takes_the_statements_of_plain_django(statements):
    photo = Photo.objects.create(title="Dune", image="dune.jpg")
    form = a_valid(PhotoForm({"title": "Sea"}, instance=photo))

    with statements() as noted:
        form.save()

    assert noted == ["UPDATE photo"]


def test_the_statements_of_a_task(statements, staging, no_receivers, upload):
    with statements() as noted:
        save_image_task.apply((str(upload.pk), "default"), throw=True)

    in_database = staging == "database"
    deletes = ["DELETE upload", *(DELETE_CHUNKS if in_database else [])]
    in_transaction = ["BEGIN", "UPDATE photo", *deletes, "COMMIT"]
    assert noted == [
        *START,
        "SELECT photo",
        *(["SELECT chunk"] if in_database else []),  # The only row, and the size.
        *(AT_ONCE if connection.vendor == "postgresql" else in_transaction),
    ]
    assert not Upload.objects.exists()


@pytest.fixture
def upload(in_memory):
    """The pending upload of a form that was saved."""
    a_valid(PhotoForm({"title": "Dune"}, {"image": in_memory()})).save()
    return Upload.objects.get()


def test_a_task_whose_model_has_receivers_settles_the_upload_when_they_have_run(
    connect, statements, location, no_receivers, upload
):
    def expect_to_fail(**kwargs):
        """A receiver, which the package expects to fail."""

    connect(post_save, expect_to_fail, Photo)

    with statements() as noted:
        save_image_task.apply((str(upload.pk), "default"), throw=True)

    attach = ["BEGIN", "UPDATE photo", "UPDATE upload", "COMMIT"]
    assert noted == [*START, "SELECT photo", *attach, "DELETE upload"]


def test_the_statements_of_a_second_message(statements, upload):
    save_image_task.apply((str(upload.pk), "default"), throw=True)

    with statements() as noted:
        save_image_task.apply((str(upload.pk), "default"), throw=True)

    assert noted == ["UPDATE upload"]


@pytest.mark.parametrize("count", [1, 3])
def test_a_recovery_with_nothing_due_takes_the_same_for_any_number_of_uploads(
    statements, count, in_memory
):
    for _ in range(count):
        a_valid(PhotoForm({"title": "Dune"}, {"image": in_memory()})).save()

    with statements() as noted:
        recover_uploads("default")

    # Old failed uploads, due pending uploads, expired drafts, and old abandoned names.
    assert [statement for statement in noted if statement not in ("BEGIN", "COMMIT")] == [
        "SELECT upload",
        "SELECT upload",
        "SELECT draft",
        "DELETE name",
    ]
