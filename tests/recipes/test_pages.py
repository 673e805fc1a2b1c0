"""Pages with pending images, caches, and notifications, as the how-to pages write them."""

import logging.config

import django
import pytest
from django.core import mail
from django.core.cache import cache
from django.db import connection

from django_async_forms.models import Upload
from django_async_forms.signals import image_failed, image_saved
from django_async_forms.tasks import save_image_task
from django_async_forms.test import save_pending_uploads
from tests.pages import block
from tests.recipes.models import Photo

pytestmark = pytest.mark.django_db

PENDING = "docs/howto/pending.rst"
CACHING = "docs/howto/caching.rst"
SIGNALS = "docs/howto/signals.rst"


@pytest.fixture
def photo(save_form, owner):
    """A photo whose image is pending."""
    photo = save_form(Photo, title="Dune")
    Photo.objects.update(owner=owner)
    return Photo.objects.get(pk=photo.pk)


@pytest.fixture
def fail(settings, use_final_storage):
    """Makes the only attempt at each pending upload fail."""

    def fail():
        settings.ASYNC_FORMS = {"MAX_ATTEMPTS": 1}
        use_final_storage("tests.recipes.Full")
        for upload in Upload.objects.all():
            save_image_task.apply(args=[str(upload.pk), "default"])

    return fail


@pytest.fixture
def admins(settings):
    address = "root@example.com"
    settings.ADMINS = [address if django.VERSION >= (6, 0) else ("Root", address)]


@pytest.fixture
def logger(monkeypatch):
    """Restores the logger of the package after a page has configured it."""
    logger = logging.getLogger("django_async_forms")
    for name in ("handlers", "level", "propagate"):
        monkeypatch.setattr(logger, name, getattr(logger, name))


def test_a_page_shows_that_an_image_is_on_its_way(photo, settings):
    settings.ROOT_URLCONF = tuple(block(PENDING, "django_async_forms.urls").execute().urlpatterns)

    html = block(PENDING, '{% async_image photo "image" %}').render(photo=photo)

    assert 'data-state="pending"' in html
    assert 'data-status-url="/uploads/status/"' in html


def test_the_tag_takes_these_options(photo):
    html = block(PENDING, "loading=").render(photo=photo)

    assert 'aria-label="The lake at dawn"' in html
    assert 'viewBox="0 0 600 400"' in html


def test_a_page_of_many_images_asks_twice(photo, save_form, rf, django_assert_num_queries):
    save_form(Photo, title="Second")
    page = block(PENDING, "PhotoListView").execute()

    # The count, the page of the list, and its uploads. Pending images need no other query.
    with django_assert_num_queries(3):
        context = page.PhotoListView.as_view()(rf.get("/")).context_data
        tag = block(PENDING, '{% async_image photo "image" %}')
        html = "".join(tag.render(photo=photo) for photo in context["object_list"])

    assert html.count('data-state="pending"') == 2


def test_code_can_ask_for_pending_uploads(photo):
    assert block(PENDING, "for_instance").execute(photo=photo).is_being_saved

    save_pending_uploads()

    assert not block(PENDING, "for_instance").execute(photo=photo).is_being_saved


# Caches


def test_a_cached_fragment_is_rendered_again_once_the_image_is_there(photo):
    template = block(CACHING, "{% cache")
    assert 'data-state="pending"' in template.render(photo=photo)

    save_pending_uploads()
    photo.refresh_from_db()

    assert f'src="{photo.image.url}"' in template.render(photo=photo)


def test_a_receiver_removes_the_old_image_from_a_cache(photo, connected, monkeypatch):
    connected(image_saved)
    page = block(CACHING, "make_template_fragment_key").execute()
    purged = []
    monkeypatch.setattr(page.purge, "delay", purged.append)
    keys = [f"photo-{photo.pk}", page.make_template_fragment_key("newest_photos")]
    cache.set_many(dict.fromkeys(keys, "old"))

    save_pending_uploads()

    assert cache.get_many(keys) == {}
    assert purged == [[photo.get_absolute_url()]]


@pytest.mark.django_db(transaction=True)
def test_a_receiver_runs_after_the_commit(photo, connected):
    connected(image_saved)
    seen = []

    def look(instance, **kwargs):
        seen.append((connection.in_atomic_block, Photo.objects.get().image.name))

    image_saved.connect(look)
    save_pending_uploads()

    [(in_transaction, name)] = seen
    assert not in_transaction
    assert name


# Signals


def test_the_owner_is_told_that_the_image_is_there(photo, connected):
    connected(image_saved, image_failed)
    page = block(SIGNALS, "tell_the_owner").execute()

    save_pending_uploads()

    assert page.tell_the_owner
    [message] = mail.outbox
    assert message.to == ["ann@example.com"]
    assert message.subject == "Your photo is online"


def test_the_owner_is_told_that_it_failed(photo, connected, fail):
    connected(image_saved, image_failed)
    page = block(SIGNALS, "tell_the_owner").execute()

    fail()

    assert page.ask_for_it_again
    assert [message.subject for message in mail.outbox] == ["Your photo could not be saved"]


# Watching


def test_failed_and_late_uploads_are_counted(photo, fail):
    page = block("docs/howto/monitoring.rst", "def health").execute()
    assert page.health() == {"failed": 0, "late": 0}

    Upload.objects.update(pending_since=page.timezone.now() - page.timedelta(minutes=11))
    assert page.health() == {"failed": 0, "late": 1}

    fail()
    assert page.health() == {"failed": 1, "late": 0}


def test_the_admins_are_told_of_each_image_that_failed(photo, connected, fail, admins):
    connected(image_failed)
    page = block("docs/howto/monitoring.rst", "mail_admins").execute()

    fail()

    assert page.tell_the_admins
    [message] = mail.outbox
    upload = Upload.objects.get()
    assert f"recipes.photo {photo.pk} could not be saved" in message.subject
    assert "No space left on device" in message.body
    assert message.body.endswith(f"retry {upload.pk}")


def test_the_log_mails_the_admins(photo, fail, admins, logger):
    page = block("docs/howto/monitoring.rst", "AdminEmailHandler").execute()
    logging.config.dictConfig(page.LOGGING)

    fail()

    [message] = mail.outbox
    assert "failed after 1 attempts" in message.subject
    assert "No space left on device" in message.body
