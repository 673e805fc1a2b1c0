"""Hostile file names in storages, in the outbox and on pages."""

import re
from contextlib import suppress
from io import StringIO

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import transaction
from django.urls import reverse
from hypothesis import given, settings

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests.project.models import Photo
from tests.security.pages import errors_on
from tests.security.texts import texts

pytestmark = [
    pytest.mark.django_db(databases=["default", "other"]),
    pytest.mark.urls("tests.security.pages"),
]

RIGHT_TO_LEFT = "\u202e"
HTML = "<img src=x onerror=alert(1)>"

#: Names from other parsers. Django's own removes characters that cannot be printed.
NAMES = {
    "traversal": "../../../etc/cron.d/evil.jpg",
    "traversal on Windows": "..\\..\\autoexec.jpg",
    "a drive": "C:evil.jpg",
    "a stream": "evil.jpg:hidden.jpg",
    "NUL": "evil.php\0.jpg",
    "a bidirectional mark": f"dune{RIGHT_TO_LEFT}gpj.exe.jpg",
    "an isolate": "dune\u2066gpj.exe\u2069.jpg",
    "4,000 characters": "x" * 4000 + ".jpg",
    "4,000 characters without an end": "x" * 4000,
    "4,000 characters of an end": "x." + "y" * 4000,
    "4,000 points": "." * 4000 + "jpg",
    "a device": "CON.jpg",
    "a port": "com1.aux.jpg",
    "a file of the system": "/dev/zero.jpg",
    "lines": "evil.jpg\r\nX-Evil: 1\r\n.jpg",
    "a terminal's orders": "\x1b]0;evil\x07\x1b[2J.jpg",
    "a lone surrogate": "\ud83d.jpg",
    "a byte that is not text": "\udcff.jpg",
    "HTML": f"{HTML}.jpg",
    "a template": "{{ request }}{% debug %}%s{0}.jpg",
    "the shell's words": "`id`$(id);id|id&.jpg",
}
each_name = pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)


def multipart(disposition, data):
    return b"\r\n".join(
        [
            b'--limit\r\nContent-Disposition: form-data; name="title"\r\n\r\nDune\r\n--limit',
            b'Content-Disposition: form-data; name="image"; ' + disposition,
            b"Content-Type: image/jpeg\r\n",
            data,
            b"--limit--\r\n",
        ]
    )


def post_multipart(client, disposition, data, way="async"):
    body, content_type = multipart(disposition, data), "multipart/form-data; boundary=limit"
    return client.post(f"/{way}/photo/add/", body, content_type=content_type)


# What is stored


@each_name
@pytest.mark.parametrize("kind", ["in_memory", "on_disk"])
def test_a_form_stores_a_name_as_plain_django_does(name, kind, both_ways, picture, request):
    make = request.getfixturevalue(kind)

    def post(way):
        uploaded = make("dune.jpg", picture)
        uploaded.name = name
        form = way.form({"title": "Dune"}, {"image": uploaded})
        try:
            with transaction.atomic():
                if form.is_valid():
                    form.save()
        except SuspiciousFileOperation:
            return "refused"
        return str(form.errors)

    plain, ours = both_ways(post)

    assert ours == plain


@pytest.mark.parametrize(
    "disposition",
    [
        b"filename*=UTF-8''evil.php%00.jpg",
        b"filename*=UTF-8''..%2f..%2fevil.jpg",
        b"filename*=UTF-8''..%5c..%5cevil.jpg",
        b"filename*=UTF-8''dune%E2%80%AEgpj.exe.jpg",
        b"filename*=UTF-8''%ff%fe.jpg",
        b"filename*=UTF-16''%ff%fe.jpg",
        b"filename*=UTF-8''" + b"x" * 4000 + b".jpg",
        b'filename="' + b"x" * 4000 + b'.jpg"',
        b'filename="\xff\xfe\xed\xa0\x80.jpg"',
        b'filename="a.jpg"; filename="b.html"',
        b'filename="a.jpg"; name="title"',
    ],
    ids=lambda disposition: disposition[:40].decode("latin-1"),
)
def test_a_name_in_a_header_is_stored_as_plain_django_does(disposition, both_ways, client, picture):
    def post(way):
        response = post_multipart(client, disposition, picture, way.name)
        return response.status_code, errors_on(response)

    plain, ours = both_ways(post)

    assert ours == plain


@settings(max_examples=50)
@given(name=texts(min_size=1, max_size=120))
def test_save_image_stores_any_name_as_plain_django_does(name, both_ways, picture):
    def save(way):
        try:
            with transaction.atomic():
                photo = Photo.objects.create(title="Dune")
                if way.name == "plain":
                    photo.image.save(name, ContentFile(picture))
                else:
                    save_image(ContentFile(picture, name), photo)
                    save_pending_uploads()
        except (SuspiciousFileOperation, ValueError):
            return "refused"
        return "stored"

    plain, ours = both_ways(save)

    assert ours == plain


@each_name
def test_no_name_reaches_the_staging_area(name, location, photo, on_disk, picture):
    uploaded = on_disk("dune.jpg", picture)
    uploaded.name = name

    with suppress(SuspiciousFileOperation):  # Refusing the name is right as well.
        save_image(uploaded, photo)

    for path in location.rglob("*"):
        staged = path.relative_to(location).as_posix()
        assert re.fullmatch(r"default(/[0-9a-f]{2}(/[0-9a-f]{32})?)?", staged)


# What is shown


@pytest.fixture(params=["bootstrap5", None], ids=["a pack", "no pack"])
def pack(request, settings):
    """Runs the test with a template pack of crispy-forms, and in a project without one."""
    if request.param is None:
        del settings.CRISPY_TEMPLATE_PACK


def is_text(response):
    """Tell whether a page shows the HTML of a name as text."""
    page = response.content.decode()
    return "&lt;img src=x onerror=alert(1)&gt;" in page and HTML not in page


def test_html_in_a_refused_name_is_text_in_the_pages_error(pack, client, picture):
    assert is_text(post_multipart(client, f'filename="dune.{HTML}"'.encode(), picture))


@pytest.fixture
def named(photo):
    """A photo whose image has HTML in its name."""
    Photo.objects.update(image=f"photos/{HTML}.jpg")
    return photo


def test_html_in_the_name_of_the_image_is_not_html_on_the_page(pack, client, named):
    assert HTML not in client.get(f"/async/photo/{named.pk}/").content.decode()


def test_html_in_the_name_of_an_image_that_is_kept_is_text_on_the_page(pack, client, in_memory):
    data = {"title": "", "image": in_memory(f"{HTML}.jpg")}

    assert is_text(client.post("/async/photo/add/", data))


def test_html_in_the_name_of_the_image_is_text_on_the_admins_page(admin_client, named):
    assert is_text(admin_client.get(reverse("admin:project_photo_change", args=[named.pk])))


@pytest.fixture
def upload(photo, in_memory):
    """An upload with HTML in its name."""
    return save_image(in_memory(f"{HTML}.jpg"), photo)


def test_html_in_a_name_is_text_where_the_admin_asks_before_it_deletes(admin_client, upload):
    response = admin_client.post(
        reverse("admin:django_async_forms_upload_changelist"),
        {"action": "delete_selected", "_selected_action": [str(upload.pk)]},
    )

    assert is_text(response)


def test_html_in_a_name_is_text_among_the_admins_recent_actions(admin_client, admin_user, upload):
    LogEntry.objects.create(
        user=admin_user,
        content_type=ContentType.objects.get_for_model(Upload),
        object_id=str(upload.pk),
        object_repr=str(upload),
        action_flag=CHANGE,
    )

    assert is_text(admin_client.get(reverse("admin:index")))


def test_a_bidirectional_mark_does_not_reorder_the_name_of_an_upload(photo, in_memory):
    upload = save_image(in_memory(f"dune{RIGHT_TO_LEFT}gpj.exe.jpg"), photo)

    # The mark would also reverse the arrow, the model, the key and the field.
    assert RIGHT_TO_LEFT not in str(upload)
    assert "gpj.exe.jpg" in str(upload)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("\x1b]0;evil\x07\x1b[2J\rdune.jpg", ""),
        ("dune.jpg", "OSError: no space left for \x1b[2J\rdune.jpg"),
    ],
    ids=["in a name", "in an error"],
)
def test_the_command_gives_no_orders_to_the_operators_terminal(name, error, photo, in_memory):
    save_image(in_memory(name), photo)
    Upload.objects.update(error=error)
    out = StringIO()

    call_command("async_uploads", "list", stdout=out)

    assert "dune.jpg" in out.getvalue()
    assert error.partition("\x1b")[0] in out.getvalue()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", out.getvalue())
