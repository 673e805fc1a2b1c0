"""Keep times, and the language, the time zone and the tenant of the request."""

import os
from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone, translation

from django_async_forms import recovery
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.signals import image_failed, image_saved
from django_async_forms.storage import StagingFileSystemStorage
from django_async_forms.tasks import save_image_task
from django_async_forms.test import save_pending_uploads
from tests.project.models import Photo
from tests.situations.forms import async_form, both, bytes_of, form_for, loaded, uploads_for
from tests.situations.models import Localized
from tests.tenant import tenant
from tests.worker import staged_files

pytestmark = pytest.mark.django_db


DAY = 24 * 3600


@pytest.fixture
def clock(monkeypatch):
    """Puts the time of this process forward."""
    start = timezone.now()
    passed = timedelta()
    monkeypatch.setattr(timezone, "now", lambda: start + passed)

    def forward(seconds):
        nonlocal passed
        passed += timedelta(seconds=seconds)

    return forward


@pytest.fixture
def pending(in_memory):
    return async_form(Photo, {"title": "Dune"}, {"image": in_memory()}).save()


def recover():
    recovery.recover("default")


# Keep times


def fail_after_recovery_sent_it(upload, clock):
    clock(DAY)
    recover()
    upload.fail("The storage is full.")


def fail_and_be_marked_sent(upload, clock):
    stale = Upload.objects.get(pk=upload.pk)
    upload.fail("The storage is full.")
    stale.mark_sent()
    stale.mark_due()


def fail_when_old(upload, clock):
    clock(100 * DAY)
    upload.fail("The storage is full.")


def fail_again_after_a_retry(upload, clock):
    upload.fail("The storage is full.")
    clock(20 * DAY)
    upload.retry()
    recover()
    upload.fail("The storage is full.")


@pytest.mark.parametrize(
    "history",
    [fail_after_recovery_sent_it, fail_and_be_marked_sent, fail_when_old, fail_again_after_a_retry],
)
def test_a_failed_upload_is_kept_30_days_from_its_failure(history, pending, clock, queue):
    (upload,) = uploads_for(pending)
    history(upload, clock)

    clock(29 * DAY)
    recover()
    assert uploads_for(pending).failed().exists()
    assert staged_files()

    clock(2 * DAY)
    recover()
    assert not uploads_for(pending).exists()


def test_a_retried_upload_is_not_purged_however_old(pending, clock, queue):
    (upload,) = uploads_for(pending)
    upload.fail("The storage is full.")
    upload.retry()

    clock(100 * DAY)
    recover()

    assert uploads_for(pending).pending().exists()


# Old files


@pytest.fixture
def year_old(location, on_disk):
    """An uploaded temporary file that is a year old."""
    uploaded = on_disk()
    year_ago = timezone.now().timestamp() - 365 * DAY
    os.utime(uploaded.temporary_file_path(), (year_ago, year_ago))
    return uploaded


def test_staged_bytes_of_an_old_file_outlive_a_recovery_before_the_commit(year_old, queue):
    photo = async_form(Photo, {"title": "Dune"}, {"image": year_old}).save()
    (staged,) = staged_files()
    rows = list(Upload.objects.all())
    Upload.objects.all().delete()  # Another connection sees this before the commit.

    recover()

    assert staged_files() == [staged]
    Upload.objects.bulk_create(rows)
    save_pending_uploads()
    assert loaded(photo).image


def test_the_staged_file_of_an_old_temporary_file_is_as_old_as_its_upload(year_old, location):
    before = timezone.now() - timedelta(seconds=1)

    async_form(Photo, {"title": "Dune"}, {"image": year_old}).save()

    (staged,) = staged_files()
    assert StagingFileSystemStorage(location=location).get_modified_time(staged) >= before


# Language and time zone


def work_for(instance):
    """Do the work of a worker with the messages for an instance, in another context."""
    with translation.override("fr"), timezone.override(ZoneInfo("Asia/Tokyo")):
        for upload in uploads_for(instance):
            save_image_task.apply(args=[str(upload.pk), upload.using], throw=False)
        assert translation.get_language() == "fr"  # Its own again.


def in_german(image, base=AsyncImageModelForm):
    with translation.override("de"), timezone.override(ZoneInfo("Europe/Berlin")):
        return form_for(base, Localized, {"title": "x"}, {"image": image}).save()


@both
def test_the_worker_has_the_language_and_the_time_zone_of_the_request(base, image, staging):
    localized = in_german(image, base)
    work_for(localized)

    localized = loaded(localized)
    assert localized.image.name == "de/Europe/Berlin/dune.jpg"
    assert localized.saved_in == "de"


def test_receivers_of_image_saved_have_the_context_of_the_request(connect, image):
    seen = []

    def receive(**kwargs):
        seen.append((translation.get_language(), timezone.get_current_timezone_name()))

    localized = in_german(image)
    connect(image_saved, receive)
    work_for(localized)

    assert seen == [("de", "Europe/Berlin")]


def test_the_language_of_commit_false_is_the_language_of_the_later_save(image):
    with translation.override("de"):
        form = async_form(Localized, {"title": "x"}, {"image": image})
        localized = form.save(commit=False)
    with translation.override("it"):
        localized.save()

    work_for(localized)

    assert loaded(localized).saved_in == "it"


def test_each_upload_has_the_language_of_its_request(in_memory):
    for language in ("de", "it"):
        with translation.override(language):
            async_form(Localized, {"title": language}, {"image": in_memory()}).save()

    with translation.override("fr"):
        save_pending_uploads()

    assert set(Localized.objects.values_list("title", "saved_in")) == {("de", "de"), ("it", "it")}


def test_a_language_that_the_worker_does_not_know_costs_no_image(image):
    localized = in_german(image)
    Upload.objects.update(context={"language": "tlh-unknown", "time_zone": "Mars/Base"})

    work_for(localized)

    assert bytes_of(localized) == image.data


# Tenants


@pytest.fixture
def tenants(connect, settings):
    """Makes uploads carry the tenant; returns the tenants that receivers have seen."""
    settings.ASYNC_FORMS = {"CONTEXT": "tests.tenant.TenantContext", "MAX_ATTEMPTS": 1}
    seen = []

    def receive(**kwargs):
        seen.append(tenant.get())

    connect(image_saved, receive)
    connect(image_failed, receive)
    return seen


@pytest.fixture
def of_tenant(tenants, in_memory):
    """Saves a form in a request of a tenant."""

    def save(name):
        token = tenant.set(name)
        try:
            return async_form(Localized, {"title": name}, {"image": in_memory()}).save()
        finally:
            tenant.reset(token)

    return save


@pytest.fixture
def upload_to(monkeypatch):
    """Sets ``upload_to`` of the image until the end of the test."""
    return partial(monkeypatch.setattr, Localized._meta.get_field("image"), "upload_to")


def test_the_tenant_of_the_request_is_that_of_image_saved(tenants, of_tenant):
    work_for(of_tenant("blue"))
    work_for(of_tenant("green"))

    assert tenants == ["blue", "green"]
    assert tenant.get() is None


def test_the_tenant_of_the_request_is_active_while_the_image_is_stored(of_tenant, upload_to):
    seen = []
    upload_to(lambda instance, name: seen.append(tenant.get()) or f"t/{name}")

    work_for(of_tenant("blue"))

    assert seen == ["blue"]


def test_the_tenant_ends_with_an_attempt_that_fails(of_tenant, upload_to):
    localized = of_tenant("blue")
    upload_to(lambda instance, name: 1 / 0)

    work_for(localized)

    assert uploads_for(localized).failed().exists()
    assert tenant.get() is None
