"""django-reversion: a revision copies the row, so a project makes another for the image."""

from functools import partial

import pytest
import reversion
from django.contrib.admin import AdminSite
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms import modelform_factory
from django.urls import path
from django.views.generic.edit import UpdateView

from . import libraries

libraries.need("django-reversion")

from reversion.admin import VersionAdmin  # noqa: E402
from reversion.models import Revision, Version  # noqa: E402
from reversion.signals import pre_revision_commit  # noqa: E402

from django_async_forms.admin import AsyncImageAdminMixin  # noqa: E402
from django_async_forms.forms import AsyncImageModelForm  # noqa: E402
from django_async_forms.models import Upload  # noqa: E402
from django_async_forms.signals import image_saved  # noqa: E402
from django_async_forms.test import save_pending_uploads  # noqa: E402
from tests import pictures  # noqa: E402
from tests.pages import block  # noqa: E402

from .models.reversion import Revised  # noqa: E402

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]


class OurAdmin(AsyncImageAdminMixin, VersionAdmin):
    pass


site, plain_site = AdminSite(name="admin"), AdminSite(name="plain")
site.register(Revised, OurAdmin)
plain_site.register(Revised, VersionAdmin)


class Edit(UpdateView):
    queryset = Revised.objects.all()
    form_class = modelform_factory(Revised, AsyncImageModelForm, fields=["title", "image"])
    success_url = "/"


urlpatterns = [
    path("edit/<int:pk>/", Edit.as_view()),
    path("admin/", site.urls),
    path("plain/", plain_site.urls),
]


@pytest.fixture
def revised(in_memory):
    """An instance with an image, and a revision of both."""
    with reversion.create_revision():
        return Revised.objects.create(title="Old", image=in_memory("old.jpg"))


@pytest.fixture
def making_revisions():
    """A project that makes a revision when a worker has attached an image."""

    page = block("docs/howto/fields.rst", "create_revision").execute()
    yield
    image_saved.disconnect(page.keep_revision)


def save(data, files, instance=None):
    form_class = modelform_factory(Revised, AsyncImageModelForm, fields=["title", "image"])
    with reversion.create_revision():
        return form_class(data, files, instance=instance).save()


def save_and_attach(*args):
    save(*args)
    save_pending_uploads()


def versions():
    """Return title and image of each version, the oldest first."""
    fields = [version.field_dict for version in Version.objects.order_by("pk")]
    return [(field["title"], str(field["image"])) for field in fields]


def row():
    return Revised.objects.values_list("title", "image").get()


def upload(name="new.jpg"):
    return SimpleUploadedFile(name, pictures.jpeg(), "image/jpeg")


@pytest.fixture
def post(revised, client, settings):
    """Posts a form in a project with the middleware of the library."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "reversion.middleware.RevisionMiddleware"]
    client.raise_request_exception = False
    return partial(client.post, f"/edit/{revised.pk}/", {"title": "New", "image": upload()})


# Making revisions


def test_the_revision_of_a_new_instance_has_no_image_as_its_row(in_memory):
    save({"title": "Dune"}, {"image": in_memory()})

    assert versions() == [("Dune", "")] == [row()]


def test_the_revision_of_a_change_has_the_old_image_as_its_row(revised, new):
    save(*new, revised)

    assert versions()[-1] == ("New", "revised/old.jpg") == row()


def test_a_request_with_the_middleware_makes_one_revision(post):
    post()

    assert Revision.objects.count() == 2
    assert versions()[-1] == ("New", "revised/old.jpg") == row()


def test_the_image_of_a_request_with_the_middleware_is_attached(post):
    post()

    assert save_pending_uploads() == 1
    assert row() == ("New", "revised/new.jpg")


def test_a_request_that_fails_under_the_middleware_leaves_no_upload(connect, post):
    def fail(**kwargs):
        raise OSError("The disk is full.")

    connect(pre_revision_commit, fail)

    assert post().status_code == 500
    assert row() == ("Old", "revised/old.jpg")
    assert not Upload.objects.exists()


def test_the_worker_makes_no_revision(revised, new):
    save_and_attach(*new, revised)

    assert row() == ("New", "revised/new.jpg")
    assert Revision.objects.count() == 2


def test_a_project_can_make_a_revision_when_the_image_is_attached(revised, making_revisions, new):
    save_and_attach(*new, revised)

    assert versions() == [
        ("Old", "revised/old.jpg"),
        ("New", "revised/old.jpg"),
        ("New", "revised/new.jpg"),
    ]


def test_the_last_revision_is_that_of_a_plain_form_if_the_project_makes_one(
    alike, making_revisions
):
    latest = []

    def case(way):
        for name in ("old.jpg", "new.jpg"):
            instance = Revised.objects.first()
            with reversion.create_revision():
                form = way.form(Revised, {"title": name}, {"image": way.upload(name)}, instance)
                form.save()
            way.work()
        latest.append(versions()[-1])

    alike(case, Revised)
    assert latest[0] == latest[1]


# Going back to one


def test_going_back_puts_the_old_image_back(revised, media, new):
    save_and_attach(*new, revised)

    Revision.objects.earliest("pk").revert()

    assert row() == ("Old", "revised/old.jpg")
    assert (media / "revised/new.jpg").exists()


def test_going_back_and_forth_puts_the_new_image_back(revised, making_revisions, new):
    save_and_attach(*new, revised)
    Revision.objects.earliest("pk").revert()

    Revision.objects.latest("pk").revert()

    assert row() == ("New", "revised/new.jpg")


def test_a_pending_image_is_attached_after_going_back_to_the_image_that_it_replaces(revised, new):
    save(*new, revised)
    Revision.objects.earliest("pk").revert()

    save_pending_uploads()

    assert row() == ("Old", "revised/new.jpg")


def test_going_back_brings_back_a_deleted_instance_with_its_image(revised):
    key = revised.pk
    revised.delete()

    Version.objects.get_deleted(Revised).get().revert()

    assert row() == ("Old", "revised/old.jpg")
    assert Revised.objects.get().pk == key


def test_an_image_that_was_pending_stays_away_when_a_deleted_instance_comes_back(revised, new):
    save(*new, revised)
    Revised.objects.get().delete()
    Version.objects.get_deleted(Revised).latest("pk").revert()

    assert save_pending_uploads() == 0

    assert row() == ("New", "revised/old.jpg")


def test_a_form_saves_an_instance_that_came_back(revised, new):
    revised.delete()
    Version.objects.get_deleted(Revised).get().revert()

    save_and_attach(*new, Revised.objects.get())

    assert row() == ("New", "revised/new.jpg")


# Its admin


def test_the_version_admin_stages_the_image_and_makes_a_revision(admin_client):
    response = admin_client.post(
        "/admin/compatibility/revised/add/", {"title": "Dune", "image": upload()}
    )

    assert response.status_code == 302
    assert versions() == [("Dune", "")]
    assert save_pending_uploads() == 1
    assert row() == ("Dune", "revised/new.jpg")


@pytest.mark.parametrize("name", ["plain", "admin"])
def test_the_version_admin_goes_back_to_a_revision_as_without_the_mixin(
    name, revised, admin_client, new
):
    save_and_attach(*new, revised)
    version = Version.objects.earliest("pk")
    page = f"/{name}/compatibility/revised/{revised.pk}/history/{version.pk}/"
    assert "revised/old.jpg" in admin_client.get(page).content.decode()
    assert row() == ("New", "revised/new.jpg")  # The page itself changes nothing.

    response = admin_client.post(page, {"title": "Old"})

    assert response.status_code == 302
    assert row() == ("Old", "revised/old.jpg")


def test_the_version_admin_goes_back_with_a_new_image(revised, admin_client, new):
    save_and_attach(*new, revised)
    version = Version.objects.earliest("pk")
    page = f"/admin/compatibility/revised/{revised.pk}/history/{version.pk}/"

    admin_client.post(page, {"title": "Old", "image": upload("newest.jpg")})
    assert row() == ("Old", "revised/old.jpg")

    save_pending_uploads()
    assert row() == ("Old", "revised/newest.jpg")


def test_the_version_admin_brings_back_a_deleted_instance(revised, admin_client):
    revised.delete()
    version = Version.objects.get_deleted(Revised).get()

    admin_client.post(f"/admin/compatibility/revised/recover/{version.pk}/", {"title": "Old"})

    assert row() == ("Old", "revised/old.jpg")
