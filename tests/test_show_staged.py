"""The person who has sent an image sees it at once, before a worker has saved it."""

import io
import re

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.template import Context, RequestContext, Template
from django.test import AsyncClient, Client, RequestFactory
from django.urls import reverse
from PIL import Image

from django_async_forms.fields import Target
from django_async_forms.models import Draft, Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.tokens import make_token
from django_async_forms.uploads import save_image
from tests import pictures
from tests.drafts import Page, draft_at
from tests.project.models import Photo

pytestmark = [
    pytest.mark.django_db(databases=["default", "other"]),
    pytest.mark.urls("tests.drafts"),
]


@pytest.fixture
def page(client):
    return Page(client)


@pytest.fixture
def others():
    """The page in somebody else's browser."""
    return Page(Client())


def image(format_name, size=(8, 6)):
    out = io.BytesIO()
    Image.new("RGB", size, "red").save(out, format_name)
    return out.getvalue()


def submit(page, data=None, address="/photo/add/"):
    """Submit a form with its image; return the instance."""
    file = pictures.as_file(pictures.jpeg(64, 48) if data is None else data)
    file.name = "dune.jpg"
    response = page.client.post(address, {"title": "Dune", "image": file})
    assert response.status_code == 302
    return Photo.objects.latest("pk")


def staged_address(photo):
    target = Target.of(photo, Photo._meta.get_field("image"))
    return reverse("django_async_forms:staged", args=[make_token(target)])


def render(photo, page, options=""):
    """Render the image on a page of this person."""
    request = RequestFactory().get("/")
    request.session = page.client.session
    template = Template(f'{{% load async_forms %}}{{% async_image photo "image" {options} %}}')
    return template.render(RequestContext(request, {"photo": photo}))


def seen(html):
    """Return the first image or box that a browser shows."""
    return re.findall(r"<(?:img|svg)[^>]*>", html)[0]


def content(response):
    return b"".join(response.streaming_content)


def assert_untrusted(response):
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response["Cache-Control"] == "private, no-store"
    assert "Cookie" in response["Vary"]


# A draft


def test_a_draft_is_shown_to_its_sender(page, staging):
    data = pictures.jpeg()

    response = page.look(page.send_all(data))

    assert response.status_code == 200
    assert content(response) == data
    assert response["Content-Type"] == "image/jpeg"
    assert response["Content-Length"] == str(len(data))
    assert_untrusted(response)


def test_a_draft_is_shown_to_nobody_else(page, others):
    address = page.send_all(pictures.jpeg())

    response = others.look(address)

    assert response.status_code == 404
    assert response.content == others.look(address[:-2] + "/").content


def test_a_draft_that_is_still_travelling_is_not_shown(page):
    data = pictures.jpeg()

    assert page.look(page.begin(len(data), data[:-1])).status_code == 404


def test_a_draft_of_a_hidden_field_is_not_shown(client):
    page = Page(client, "/hidden/")
    address = page.send_all(pictures.jpeg())

    assert draft_at(address).is_checked
    assert page.look(address).status_code == 404


def test_a_draft_is_not_shown_if_the_project_shows_none(page, settings):
    address = page.send_all(pictures.jpeg())
    settings.ASYNC_FORMS = {"SHOW_STAGED": False}

    assert page.look(address).status_code == 404


@pytest.mark.parametrize("format_name", ["TIFF", "PPM"])
def test_a_draft_that_browsers_do_not_show_is_not_given_to_them(page, format_name):
    address = page.send_all(image(format_name))

    assert page.look(address).status_code == 404


def test_a_form_that_comes_back_shows_its_image(page):
    file = pictures.as_file(pictures.jpeg())
    file.name = "dune.jpg"
    html = page.client.post("/photo/add/", {"title": "", "image": file}).content.decode()

    (address,) = re.findall(r'<img src="([^"]*)"', html)

    assert page.look(address).status_code == 200


def test_a_form_that_comes_back_shows_no_image_that_browsers_do_not_show(page):
    file = pictures.as_file(image("TIFF"))
    file.name = "dune.tiff"
    html = page.client.post("/photo/add/", {"title": "", "image": file}).content.decode()

    assert Draft.objects.get().format == "TIFF"
    assert "<img" not in html
    assert "dune.tiff" in html


# A pending image


@pytest.mark.parametrize("way", ["with the form", "as a draft"])
def test_a_pending_image_is_shown_to_the_person_who_sent_it(page, way, staging):
    data = pictures.jpeg(64, 48)
    if way == "as a draft":
        page.submit(page.send_all(data))
        photo = Photo.objects.get()
    else:
        photo = submit(page, data)

    response = page.client.get(staged_address(photo))

    assert response.status_code == 200
    assert content(response) == data
    assert response["Content-Type"] == "image/jpeg"
    assert_untrusted(response)
    html = render(photo, page)  # Once: an address is another one each second.
    assert seen(html) == f'<img src="{address_in(html)}" alt="Dune" width="64" height="48">'
    assert content(page.client.get(address_in(render(photo, page)))) == data


def address_in(html):
    return re.findall(r'<img src="([^"]*)"', html)[0]


def test_a_form_shows_a_pending_image_to_the_person_who_sent_it(page, others):
    address = reverse("change", args=[submit(page).pk])

    assert b"/images/staged/" in page.client.get(address).content
    assert b"/images/staged/" not in others.client.get(address).content


def test_a_pending_image_is_a_box_for_anyone_else(page, others):
    photo = submit(page)

    assert seen(render(photo, others)).startswith("<svg")
    assert others.client.get(staged_address(photo)).status_code == 404
    assert Client().get(staged_address(photo)).status_code == 404


def test_a_pending_image_is_a_box_on_a_page_without_a_request(page):
    photo = submit(page)
    template = Template('{% load async_forms %}{% async_image photo "image" %}')

    assert seen(template.render(Context({"photo": photo}))).startswith("<svg")


def test_a_pending_image_is_a_box_where_the_project_shows_none(page, settings):
    photo = submit(page)
    settings.ASYNC_FORMS = {"SHOW_STAGED": False}

    assert seen(render(photo, page)).startswith("<svg")
    assert page.client.get(staged_address(photo)).status_code == 404


@pytest.mark.parametrize("way", ["with the form", "as a draft"])
def test_a_pending_image_of_a_hidden_field_is_a_box(client, way):
    page = Page(client, "/hidden/")
    if way == "as a draft":
        page.submit(page.send_all(pictures.jpeg()), page="/hidden/")
        photo = Photo.objects.get()
    else:
        photo = submit(page, address="/hidden/")

    assert seen(render(photo, page)).startswith("<svg")
    assert page.client.get(staged_address(photo)).status_code == 404


@pytest.mark.parametrize("way", ["with the form", "as a draft"])
@pytest.mark.parametrize("format_name", ["TIFF", "PPM"])
def test_a_pending_image_that_browsers_do_not_show_is_a_box(page, format_name, way):
    data = image(format_name, (16, 16))
    if way == "as a draft":
        page.submit(page.send_all(data))
        photo = Photo.objects.get()
    else:
        photo = submit(page, data)

    assert seen(render(photo, page)).startswith("<svg")
    assert page.client.get(staged_address(photo)).status_code == 404


def test_an_image_that_no_form_has_sent_is_a_box(page, photo, in_memory):
    save_image(in_memory(), photo)

    assert seen(render(photo, page)).startswith("<svg")
    assert page.client.get(staged_address(photo)).status_code == 404


def test_the_new_image_is_shown_in_the_place_of_the_old_one(page, old):
    photo = submit(page, pictures.jpeg(64, 48), f"/photo/{old.pk}/")

    html = render(photo, page, "width=32")

    assert seen(html) == f'<img src="{address_in(html)}" alt="Dune" width="32" height="24">'
    assert old.image.url not in html
    assert "The new image is being saved" in html


def test_an_image_that_its_sender_sees_says_that_it_is_being_saved(page):
    html = render(submit(page), page)

    assert 'data-state="pending"' in html
    assert "The image is being saved" in html
    assert "Reload the page to see it." not in html


def test_an_image_that_its_sender_sees_has_the_classes_of_the_saved_one(page):
    photo = submit(page)
    pending = seen(render(photo, page, 'class="wide" width=320 loading="lazy"'))
    save_pending_uploads()
    photo.refresh_from_db()
    saved = seen(render(photo, page, 'class="wide" width=320 loading="lazy"'))

    for attribute in ('alt="Dune"', 'class="wide"', 'width="320"', 'loading="lazy"'):
        assert attribute in pending
        assert attribute in saved


def test_the_address_of_a_pending_image_leads_to_the_saved_one(page, others):
    photo = submit(page)
    address = staged_address(photo)
    save_pending_uploads()
    photo.refresh_from_db()

    for person in (page, others):  # The status tells everyone with the token, too.
        response = person.client.get(address)
        assert response.status_code == 302
        assert response["Location"] == photo.image.url
        assert "no-store" in response["Cache-Control"]


def test_the_address_leads_to_an_image_that_is_saved_while_the_view_looks_for_the_staged_one(page):
    photo = submit(page)
    worker = iter([save_pending_uploads])

    def save_after_the_view_has_found_it(execute, sql, *args):
        result = execute(sql, *args)
        if sql.startswith("SELECT") and Upload._meta.db_table in sql:
            for save in worker:
                save()
        return result

    with connection.execute_wrapper(save_after_the_view_has_found_it):
        response = page.client.get(staged_address(photo))

    photo.refresh_from_db()
    assert (response.status_code, response.headers.get("Location")) == (302, photo.image.url)


def test_the_address_of_a_pending_image_leads_nowhere_if_it_was_discarded(page):
    photo = submit(page)
    address = staged_address(photo)
    Upload.objects.all().discard()

    assert page.client.get(address).status_code == 404


def test_the_address_of_an_image_that_has_just_failed_still_shows_it(page, others):
    photo = submit(page)
    Upload.objects.update(state="failed")

    # A page that was made while it was pending is about to ask for it.
    assert page.client.get(staged_address(photo)).status_code == 200
    assert others.client.get(staged_address(photo)).status_code == 404
    assert seen(render(photo, page)).startswith("<svg")


@pytest.mark.parametrize("token", ["a", "a:b:c", "ü", "%00"])
def test_no_other_token_shows_anything(page, token):
    submit(page)

    assert page.client.get(f"/images/staged/{token}/").status_code == 404


def test_the_staged_image_cannot_be_posted_to(page):
    assert page.client.post(staged_address(submit(page))).status_code == 405


def test_a_person_who_logs_in_still_sees_their_image(page, django_user_model):
    photo = submit(page)
    address = page.send_all(pictures.jpeg())

    page.client.force_login(django_user_model.objects.create_user("ann"))

    assert page.client.get(staged_address(photo)).status_code == 200
    assert page.look(address).status_code == 200


def test_a_person_who_logs_out_sees_no_image_any_more(page, django_user_model):
    page.client.force_login(django_user_model.objects.create_user("ann"))
    page = Page(page.client)
    photo = submit(page)
    address = page.send_all(pictures.jpeg())

    page.client.logout()

    assert page.client.get(staged_address(photo)).status_code == 404
    assert page.look(address).status_code == 404


def test_a_storage_that_does_not_answer_shows_nothing(page, location, caplog):
    photo = submit(page)
    (location / Upload.objects.get().staged).unlink()
    assert page.client.get(staged_address(photo)).status_code == 404

    (location / Upload.objects.get().staged).mkdir()
    assert page.client.get(staged_address(photo)).status_code == 503
    assert f"Upload {Upload.objects.get().pk}: its staged file is not shown" in caplog.text


# What it costs


def test_a_page_of_images_that_are_not_pending_reads_no_session(old):
    request = RequestFactory().get("/")

    class Session:
        def get(self, *args):
            raise AssertionError("the session was read")

    request.session = Session()
    template = Template('{% load async_forms %}{% async_image photo "image" %}')

    assert "<img" in template.render(RequestContext(request, {"photo": old}))


def test_a_pending_image_that_was_not_sent_in_a_session_reads_none(photo, in_memory):
    save_image(in_memory(), photo)
    request = RequestFactory().get("/")
    request.session = None
    template = Template('{% load async_forms %}{% async_image photo "image" %}')

    assert "<svg" in template.render(RequestContext(request, {"photo": photo}))


def test_showing_a_pending_image_to_its_sender_costs_the_query_of_the_session(
    page, django_assert_num_queries
):
    photo = submit(page)
    request = RequestFactory().get("/")
    request.session = page.client.session
    request.session.get("")
    template = Template('{% load async_forms %}{% async_image photo "image" %}')
    with django_assert_num_queries(1):  # The upload.
        assert "<img" in template.render(RequestContext(request, {"photo": photo}))


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_staged_image_is_shown_under_asgi(page, location):
    data = pictures.jpeg()
    photo = submit(page, data)
    client = AsyncClient()
    client.cookies = page.client.cookies

    async def load():
        response = await client.get(staged_address(photo))
        return [piece async for piece in response.streaming_content]

    assert b"".join(async_to_sync(load)()) == data
