"""Keep times, and the language, the time zone and the tenant of the request."""

import os
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone, translation

from django_async_forms import recovery
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
BERLIN = ZoneInfo("Europe/Berlin")


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


def work(upload):
    """Do the work of a worker with the message of an upload, in another context."""
    with translation.override("fr"), timezone.override(ZoneInfo("Asia/Tokyo")):
        save_image_task.apply(args=[str(upload.pk), upload.using], throw=False)


# Keep times


def test_a_failed_upload_is_kept_30_days_though_recovery_sent_it_before(pending, clock, queue):
    (upload,) = uploads_for(pending)
    clock(DAY)
    recovery.recover("default")
    upload.fail("The storage is full.")

    clock(29 * DAY)
    recovery.recover("default")
    assert uploads_for(pending).failed().exists()

    clock(2 * DAY)
    recovery.recover("default")
    assert not uploads_for(pending).exists()


def test_a_failed_upload_is_kept_though_it_is_marked_sent_after_it_failed(pending, clock, queue):
    (upload,) = uploads_for(pending)
    stale = Upload.objects.get(pk=upload.pk)
    upload.fail("The storage is full.")
    stale.mark_sent()
    stale.mark_due()

    clock(29 * DAY)
    recovery.recover("default")

    (upload,) = uploads_for(pending)
    assert upload.state == Upload.State.FAILED
    assert staged_files()


def test_an_old_upload_is_kept_30_days_from_its_failure(pending, clock, queue):
    clock(100 * DAY)
    (upload,) = uploads_for(pending)
    upload.fail("The storage is full.")

    clock(29 * DAY)
    recovery.recover("default")

    assert uploads_for(pending).failed().exists()


def test_an_upload_that_fails_again_after_a_retry_is_kept_30_days_from_then(pending, clock, queue):
    (upload,) = uploads_for(pending)
    upload.fail("The storage is full.")
    clock(20 * DAY)
    upload.retry()
    recovery.recover("default")
    upload.fail("The storage is full.")

    clock(29 * DAY)
    recovery.recover("default")

    assert uploads_for(pending).failed().exists()


def test_a_retried_upload_is_not_purged_however_old(pending, clock, queue):
    (upload,) = uploads_for(pending)
    upload.fail("The storage is full.")
    upload.retry()

    clock(100 * DAY)
    recovery.recover("default")

    assert uploads_for(pending).pending().exists()


# Old files


def make_old(path):
    year_ago = timezone.now().timestamp() - 365 * DAY
    os.utime(path, (year_ago, year_ago))


def test_staged_bytes_of_an_old_temporary_file_outlive_a_recovery_before_the_commit(
    location, on_disk, in_memory, queue
):
    uploaded = on_disk()
    make_old(uploaded.temporary_file_path())
    photo = async_form(Photo, {"title": "Dune"}, {"image": uploaded}).save()
    (staged,) = staged_files()
    rows = list(Upload.objects.all())
    Upload.objects.all().delete()  # Another connection sees this before the commit.

    recovery.recover("default")

    assert staged_files() == [staged]
    Upload.objects.bulk_create(rows)
    save_pending_uploads()
    assert loaded(photo).image


def test_the_staged_file_of_an_old_temporary_file_is_as_old_as_its_upload(location, on_disk):
    uploaded = on_disk()
    make_old(uploaded.temporary_file_path())
    before = timezone.now() - timedelta(seconds=1)

    async_form(Photo, {"title": "Dune"}, {"image": uploaded}).save()

    (staged,) = staged_files()
    assert StagingFileSystemStorage(location=location).get_modified_time(staged) >= before


# Language and time zone


@both
def test_upload_to_has_the_language_and_the_time_zone_of_the_request(base, image, staging):
    with translation.override("de"), timezone.override(BERLIN):
        localized = form_for(base, Localized, {"title": "x"}, {"image": image}).save()
    for upload in uploads_for(localized):
        work(upload)

    assert loaded(localized).image.name == "de/Europe/Berlin/dune.jpg"


@both
def test_an_overridden_save_has_the_language_of_the_request(base, image):
    with translation.override("de"):
        localized = form_for(base, Localized, {"title": "x"}, {"image": image}).save()
    for upload in uploads_for(localized):
        work(upload)

    assert loaded(localized).saved_in == "de"


def test_receivers_of_image_saved_have_the_context_of_the_request(connect, image):
    seen = []

    def receive(**kwargs):
        seen.append((translation.get_language(), timezone.get_current_timezone_name()))

    with translation.override("de"), timezone.override(BERLIN):
        localized = async_form(Localized, {"title": "x"}, {"image": image}).save()
    connect(image_saved, receive)
    work(*uploads_for(localized))

    assert seen == [("de", "Europe/Berlin")]


def test_the_worker_has_its_own_language_again_afterwards(image):
    with translation.override("de"):
        localized = async_form(Localized, {"title": "x"}, {"image": image}).save()
    (upload,) = uploads_for(localized)

    with translation.override("fr"):
        save_image_task.apply(args=[str(upload.pk), "default"])
        assert translation.get_language() == "fr"


def test_the_language_of_commit_false_is_the_language_of_the_later_save(image):
    with translation.override("de"):
        form = async_form(Localized, {"title": "x"}, {"image": image})
        localized = form.save(commit=False)
    with translation.override("it"):
        localized.save()

    work(*uploads_for(localized))

    assert loaded(localized).saved_in == "it"


def test_each_upload_has_the_language_of_its_request(in_memory):
    made = {}
    for language in ("de", "it"):
        with translation.override(language):
            form = async_form(Localized, {"title": language}, {"image": in_memory()})
            made[language] = form.save()

    with translation.override("fr"):
        save_pending_uploads()

    assert {language: loaded(each).saved_in for language, each in made.items()} == {
        "de": "de",
        "it": "it",
    }


def test_a_language_that_the_worker_does_not_know_costs_no_image(image):
    with translation.override("de"):
        localized = async_form(Localized, {"title": "x"}, {"image": image}).save()
    Upload.objects.update(context={"language": "tlh-unknown", "time_zone": "Mars/Base"})

    work(*uploads_for(localized))

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


def of_tenant(name, in_memory):
    token = tenant.set(name)
    try:
        return async_form(Localized, {"title": name}, {"image": in_memory()}).save()
    finally:
        tenant.reset(token)


def test_the_tenant_of_the_request_is_that_of_image_saved(tenants, in_memory):
    work(*uploads_for(of_tenant("blue", in_memory)))
    work(*uploads_for(of_tenant("green", in_memory)))

    assert tenants == ["blue", "green"]
    assert tenant.get() is None


def test_the_tenant_of_the_request_is_active_while_the_image_is_stored(
    tenants, in_memory, monkeypatch
):
    seen = []
    upload_to = Localized._meta.get_field("image")
    monkeypatch.setattr(
        upload_to, "upload_to", lambda instance, name: seen.append(tenant.get()) or f"t/{name}"
    )

    work(*uploads_for(of_tenant("blue", in_memory)))

    assert seen == ["blue"]


def test_the_tenant_ends_with_an_attempt_that_fails(tenants, in_memory, monkeypatch):
    localized = of_tenant("blue", in_memory)
    monkeypatch.setattr(
        Localized._meta.get_field("image"), "upload_to", lambda instance, name: 1 / 0
    )

    work(*uploads_for(localized))

    assert uploads_for(localized).failed().exists()
    assert tenant.get() is None
