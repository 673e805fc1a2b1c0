"""``{% async_image %}`` and ``{% async_file %}``: what the page's source has in each state."""

import pickle
import re
from datetime import timedelta

import pytest
from django.core.exceptions import FieldDoesNotExist
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.template import Context, Engine, RequestContext, Template, TemplateSyntaxError
from django.template.loader import get_template
from django.test import Client
from django.urls import include, path
from django.utils import timezone, translation
from django.utils.functional import SimpleLazyObject

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.status import prefetch_uploads
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from django_async_forms.widgets import AsyncImageInput
from tests import pictures
from tests.both import async_form
from tests.project.models import (
    Country,
    Document,
    Elsewhere,
    Flag,
    Keyed,
    Measured,
    OnlyImages,
    Photo,
    Place,
    Restaurant,
    Shelved,
)
from tests.worker import give_up

urlpatterns = [path("uploads/", include("django_async_forms.urls"))]

pytestmark = [pytest.mark.django_db(databases=["default", "other"]), pytest.mark.urls(__name__)]

SCRIPT = "async-image.js"
STYLE = "async-image.css"


class PhotoForm(AsyncImageModelForm):
    image_widget = AsyncImageInput

    class Meta:
        model = Photo
        fields = ["title", "image"]


@pytest.fixture
def saved():
    """A photo that has an image."""
    return Photo.objects.create(title="Dune", image=picture())


@pytest.fixture
def upload(photo, in_memory):
    """An image of 320 by 240 pixels that a form has staged for the photo."""
    files = {"image": in_memory(data=pictures.jpeg(320, 240))}
    PhotoForm({"title": "Dune"}, files, instance=photo).save()
    return Upload.objects.get()


@pytest.fixture
def templates(settings, tmp_path):
    """A folder for templates of the project's own."""
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path / "templates"]}]
    (tmp_path / "templates/django_async_forms").mkdir(parents=True)
    return tmp_path / "templates"


def picture(name="old.jpg"):
    return ContentFile(pictures.jpeg(), name=name)


def page(source, **context):
    return Template("{% load async_forms %}" + source).render(Context(context))


def shown(instance, options="", field_name="image"):
    """Return the source of the image on a page."""
    return page(f'{{% async_image instance "{field_name}" {options} %}}', instance=instance)


def images(html):
    """Return the ``<img>`` that a browser shows."""
    return re.findall(r"<img[^>]*>", visible(html))


def visible(html):
    """Return the source without what a browser hides: notes for other states, the template."""
    html = re.sub(r"<template.*?</template>", "", html, flags=re.S)
    return re.sub(r"^ *<span[^>]* hidden>.*</span>$", "", html, flags=re.M)


# A saved image


def test_a_saved_image_is_an_img_in_the_element_of_each_state(saved):
    assert shown(saved, "assets=False") == (
        f'<async-image data-state="saved"><img src="{saved.image.url}" alt="Dune"></async-image>'
    )


def test_an_instance_without_an_image_renders_nothing():
    assert shown(OnlyImages.objects.create(), field_name="front") == ""


@pytest.mark.parametrize("model", [Photo, Keyed])
def test_an_instance_that_was_never_saved_renders_nothing(model):
    assert shown(model(title="Dune")) == ""


@pytest.mark.parametrize("make", [Photo, Keyed])
def test_an_unsaved_instance_with_an_image_renders_nothing(make, in_memory):
    assert shown(make(title="Dune", image=in_memory())) == ""


def test_the_upload_in_an_invalid_form_is_not_shown_as_the_image(saved, in_memory):
    form = PhotoForm({"title": ""}, {"image": in_memory("new.jpg")}, instance=saved)
    assert not form.is_valid()

    assert images(shown(form.instance)) == [f'<img src="{stored_url(saved)}" alt="Dune">']


def test_the_upload_in_an_invalid_form_is_not_shown_while_another_is_pending(saved, in_memory):
    save_image(in_memory(), saved)
    form = PhotoForm({"title": "Reef"}, {"image": in_memory("new.jpg")}, instance=saved)
    assert form.is_valid()

    assert re.findall(r'src="([^"]*\.jpg)"', shown(form.instance)) == [stored_url(saved)]


def test_rendering_an_unsaved_upload_leaves_it_on_the_instance(photo, in_memory):
    data = pictures.jpeg()
    form = PhotoForm({"title": "Dune"}, {"image": in_memory(data=data)}, instance=photo)
    instance = form.save(commit=False)

    shown(instance)
    instance.save()

    save_pending_uploads()
    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data


# A pending image


def test_an_image_that_is_being_saved_has_an_empty_box_and_a_note(photo, upload):
    html = shown(photo)

    assert '<async-image data-state="pending" aria-busy="true"' in html
    assert (
        '<svg class="async-image-box" viewBox="0 0 320 240" width="320" height="240" role="img" '
        'aria-label="Dune">'
    ) in html
    assert "The image is being saved" in visible(html)
    assert "could not be saved" not in visible(html)
    assert images(html) == []


def test_an_image_that_is_being_saved_has_a_token_that_the_endpoint_answers(photo, upload):
    html = shown(photo)
    (address,) = re.findall(r'data-status-url="([^"]*)"', html)
    (token,) = re.findall(r'data-token="([^"]*)"', html)

    response = Client().post(address, {"tokens": [token]}, content_type="application/json")

    assert response.json() == {"images": {token: {"state": "pending"}}}


def test_the_img_for_a_pending_image_has_all_attributes_but_its_address(photo, upload):
    html = shown(photo, 'class="wide" width=32 height=24 loading="lazy"')

    (template,) = re.findall(r"<template[^>]*>(.*)</template>", html, re.S)
    assert template.strip() == '<img alt="Dune" class="wide" width="32" height="24" loading="lazy">'


def test_an_image_that_could_not_be_saved_says_so_and_not_why_and_asks_nothing(photo, upload):
    give_up(upload)

    html = shown(photo)

    assert '<async-image data-state="failed">' in html
    assert "The image could not be saved. Your file is kept." in visible(html)
    assert "The image is being saved" not in visible(html)
    assert "Reload" not in visible(html)
    assert "no space" not in html
    assert "data-token" not in html
    assert "data-status-url" not in html


def test_the_old_image_is_shown_while_the_new_one_is_being_saved(saved, in_memory):
    save_image(in_memory(), saved)

    html = shown(saved)

    assert images(html) == [f'<img src="{saved.image.url}" alt="Dune" width="64" height="48">']
    assert "The new image is being saved" in visible(html)
    assert "<svg" not in html


def test_the_old_image_is_shown_where_the_new_one_could_not_be_saved(saved, in_memory):
    give_up(save_image(in_memory(), saved))

    assert f'<img src="{saved.image.url}"' in visible(shown(saved))


def test_an_upload_of_another_field_shows_nothing(in_memory):
    both = OnlyImages.objects.create()
    save_image(in_memory(), both, "front")

    assert "async-image" in shown(both, field_name="front")
    assert shown(both, field_name="back") == ""


@pytest.mark.parametrize("model", [Elsewhere, Keyed, Restaurant, Shelved])
def test_an_image_is_shown_whatever_the_key_and_the_database(model, in_memory):
    instance = model(**{"shelf": "north", "position": 1} if model is Shelved else {})
    instance.save()
    upload = save_image(in_memory(), instance, "image")
    assert "pending" in shown(instance)

    save_pending_uploads(upload.using)

    assert images(shown(instance, 'alt=""')) == [f'<img src="{stored_url(instance)}" alt="">']


def test_an_upload_of_a_child_is_shown_on_its_parent(in_memory):
    save_image(in_memory(), Restaurant.objects.create(name="Reef"), "image")

    assert "pending" in shown(Place.objects.get())


@pytest.mark.parametrize("state", ["saved", "pending", "failed"])
@pytest.mark.parametrize("tag", ["async_image", "async_file"])
def test_the_tags_are_phrasing_content_in_each_state(state, tag, saved, in_memory):
    if state != "saved":
        upload = save_image(in_memory(), saved)
    if state == "failed":
        give_up(upload)

    html = page(f"{{% {tag} photo 'image' %}}", photo=saved)

    names = set(re.findall(r"<([a-z-]+)", visible(html)))
    assert names <= {tag.replace("_", "-"), "link", "script", "img", "svg", "span"} | (
        {"a"} if tag == "async_file" else set()
    )


def test_an_image_takes_longer_than_usual_some_time_after_its_creation(photo, upload):
    html = visible(shown(photo))
    assert "This is taking longer than usual" not in html
    assert re.search(r'data-slow-in="(30.0|29.\d)"', html)

    Upload.objects.update(created_at=timezone.now() - timedelta(seconds=31))

    html = visible(shown(photo))
    assert "This is taking longer than usual" in html
    assert "The image is being saved" not in html


def test_a_setting_says_when_an_image_takes_longer_than_usual(photo, upload, settings):
    settings.ASYNC_FORMS = {"SLOW_AFTER": 0.001}

    assert "This is taking longer than usual" in visible(shown(photo))


def test_an_image_that_was_retried_does_not_begin_anew_to_be_usual(photo, upload):
    Upload.objects.update(created_at=timezone.now() - timedelta(seconds=31))
    give_up(upload)
    upload.retry()

    assert "This is taking longer than usual" in visible(shown(photo))


def stored_url(instance):
    return type(instance)._base_manager.get(pk=instance.pk).image.url


# A storage without a URL


def test_an_image_without_a_url_is_not_shown_and_the_others_are(without_url, caplog):
    private = Photo.objects.create(title="Dune", image="private.jpg")
    public = Photo.objects.create(title="Reef", image="public.jpg")

    html = page(
        "{% for p in photos %}{% async_image p 'image' %}{% endfor %}", photos=[private, public]
    )

    assert images(html) == ['<img src="/media/public.jpg" alt="Reef">']
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith(f"project.photo {private.pk}: the storage of image has")


def test_a_pending_image_whose_old_one_has_no_url_has_a_box(without_url, in_memory):
    private = Photo.objects.create(title="Dune", image="private.jpg")
    save_image(in_memory(), private)

    html = shown(private)

    assert '<svg class="async-image-box"' in html
    assert "The image is being saved" in visible(html)


def test_a_file_without_a_url_is_shown_by_its_name(without_url):
    private = Photo.objects.create(title="Dune", image="photos/private.jpg")

    assert '<span class="async-file-name">private.jpg</span>' in file_shown(private)


# A file that is not an image


@pytest.fixture
def document():
    """A document that has no file yet."""
    return Document.objects.create(title="Report")


def attach(document, name="old.txt"):
    document.file.save(name, ContentFile(b"old"))
    return document


def file_upload(document, name="report.txt"):
    return save_image(SimpleUploadedFile(name, b"new", "text/plain"), document, "file")


def file_shown(instance, options="", field_name=None):
    field_name = field_name or ("file" if isinstance(instance, Document) else "image")
    return page(f'{{% async_file instance "{field_name}" {options} %}}', instance=instance)


def test_a_saved_file_is_a_link_with_its_name(document):
    attach(document)

    assert file_shown(document, 'assets=False class="download"') == (
        f'<async-file data-state="saved"><a href="{document.file.url}" class="download">old.txt</a>'
        "</async-file>"
    )


def test_an_instance_without_a_file_renders_nothing(document):
    assert file_shown(document) == ""
    assert file_shown(Document()) == ""


def test_a_pending_file_is_its_name_and_a_note(document):
    file_upload(document)

    html = file_shown(document)

    assert '<async-file data-state="pending" aria-busy="true"' in html
    assert '<span class="async-file-name">report.txt</span>' in html
    assert "The file is being saved" in visible(html)
    assert "<a" not in visible(html).replace("<async", "")


def test_the_old_file_stays_a_link_while_the_new_one_is_pending(document):
    file_upload(attach(document))

    html = visible(file_shown(document))

    assert f'<a href="{document.file.url}">old.txt</a>' in html
    assert "The new file is being saved" in html


def test_a_file_that_could_not_be_saved_says_so(document):
    give_up(file_upload(document))

    html = visible(file_shown(document))

    assert "report.txt" in html
    assert "The file could not be saved. Your file is kept." in html
    assert "no space" not in html


def test_a_file_that_takes_longer_than_usual_says_so(document, settings):
    settings.ASYNC_FORMS = {"SLOW_AFTER": 0.001}
    file_upload(document)

    assert "This is taking longer than usual" in visible(file_shown(document))


def test_a_file_brings_script_and_style_sheet(document):
    assert assets(file_shown(attach(document))) == (0, 1)
    file_upload(document)

    assert assets(file_shown(document)) == (1, 1)


def test_a_file_name_of_users_is_escaped_in_a_link(document):
    attach(document)
    document.file.name = 'documents/"><b>.txt'
    document.save()
    file_upload(document, '"><i>.txt')

    html = file_shown(document)

    assert "<b>" not in html
    assert "<i>" not in html


def test_a_file_costs_as_many_queries_as_an_image(document, django_assert_num_queries):
    with django_assert_num_queries(2):
        file_shown(document)
    file_upload(document)
    with django_assert_num_queries(1):
        file_shown(document)


# An instance that was loaded before


def test_an_image_that_was_attached_since_is_shown(photo, upload):
    save_pending_uploads()

    assert images(shown(photo)) == [f'<img src="{stored_url(photo)}" alt="Dune">']


def test_a_new_image_that_was_attached_since_is_shown_and_not_the_old_one(saved, in_memory):
    save_image(in_memory("new.jpg"), saved)
    save_pending_uploads()

    assert re.findall(r'src="([^"]*)"', shown(saved)) == [stored_url(saved)]
    assert "new" in stored_url(saved)


def test_an_image_that_was_attached_since_has_its_own_dimensions(in_memory):
    measured = Measured.objects.create(title="Dune")
    save_image(in_memory(data=pictures.jpeg(80, 40)), measured, "image")
    save_pending_uploads()

    shown(measured)

    assert (measured.width, measured.height) == (80, 40)


def test_an_image_that_was_cleared_since_is_not_shown():
    both = OnlyImages.objects.create(front=picture())
    OnlyImages.objects.update(front="")

    assert shown(both, field_name="front") == ""


def test_the_next_page_looks_for_the_upload_again(photo, upload):
    assert "pending" in shown(photo)
    save_pending_uploads()

    assert "pending" not in shown(photo)


# Options


def test_the_options_are_those_of_an_img(saved):
    html = shown(saved, 'alt="A dune" class="wide tall" width=32 height=24 loading="lazy"')

    assert images(html) == [
        f'<img src="{saved.image.url}" alt="A dune" class="wide tall" width="32" height="24" '
        'loading="lazy">'
    ]


def test_an_empty_alt_option_stays_empty(saved):
    assert 'alt=""' in shown(saved, 'alt=""')


def test_the_options_are_on_the_empty_box_too(photo, upload):
    assert (
        '<svg class="async-image-box wide" viewBox="0 0 32 24" width="32" height="24" role="img" '
        'aria-label="A dune">'
    ) in shown(photo, 'alt="A dune" class="wide" width=32 height=24')


def test_an_option_that_does_not_exist_is_an_error(saved, document):
    with pytest.raises(TemplateSyntaxError, match="size, title"):
        shown(saved, 'title="Dune" size=5 alt=""')
    with pytest.raises(TemplateSyntaxError, match="async_file %} has no option alt, width"):
        file_shown(document, 'alt="Report" width=5')


@pytest.mark.parametrize("name", ["picture", "title", ""])
def test_a_field_that_does_not_exist_is_an_error(saved, document, name):
    with pytest.raises(FieldDoesNotExist, match="image"):
        shown(saved, field_name=name)
    with pytest.raises(FieldDoesNotExist, match="file"):
        file_shown(document, field_name=name or "nothing")


@pytest.mark.parametrize("state", ["saved", "pending", "failed"])
def test_text_of_users_is_escaped(state, in_memory):
    title = '"><script>alert(1)</script>'
    photo = Photo.objects.create(title=title, image=picture())
    if state != "saved":
        upload = save_image(in_memory(title), photo)
    if state == "failed":
        give_up(upload)

    for html in (shown(photo), page("{% async_image p 'image' alt=t class=t %}", p=photo, t=title)):
        assert "<script>" not in html
        assert "&quot;&gt;&lt;script&gt;" in html


def test_a_file_name_of_users_is_escaped():
    assert "<b>" not in shown(Photo.objects.create(title="Dune", image='photos/"><b>.jpg'))


# The box


def test_the_box_has_the_ratio_of_the_options_before_that_of_the_upload(photo, upload):
    assert 'viewBox="0 0 50 60"' in shown(photo, "width=50 height=60")


@pytest.mark.parametrize(
    ("options", "width", "height"),
    [
        ("", "320", "240"),
        ("width=50", "50", "37.5"),
        ("height=50", "66.67", "50"),
        ('width="50" height="60"', "50", "60"),
        ('width="" height=None', "320", "240"),
    ],
)
def test_the_box_is_as_large_as_the_options_and_the_upload_say(
    photo, upload, options, width, height
):
    assert f'width="{width}" height="{height}" role' in shown(photo, options)


@pytest.mark.parametrize(
    ("options", "width", "height"),
    [("", "384", "256"), ("width=60", "60", "40"), ("height=60", "90", "60")],
)
def test_the_box_has_some_ratio_where_the_dimensions_are_unknown(
    photo, upload, options, width, height
):
    Upload.objects.update(width=None, height=None)

    assert f'width="{width}" height="{height}" role' in shown(photo, options)


def test_the_old_image_has_its_own_dimensions_where_those_of_the_new_one_are_unknown(
    saved, in_memory
):
    save_image(in_memory(), saved)
    Upload.objects.update(width=None, height=None)

    assert images(shown(saved)) == [f'<img src="{saved.image.url}" alt="Dune">']


@pytest.mark.parametrize("value", ["'100%'", "'wide'", "-5", "'nan'", "'inf'"])
def test_a_width_that_is_not_a_number_of_pixels_is_an_error(photo, upload, value):
    with pytest.raises(TemplateSyntaxError, match=r"width of \{% async_image %\}"):
        shown(photo, f"width={value}")


def test_an_empty_box_without_a_text_is_hidden_from_screen_readers(photo, upload):
    assert 'height="240" aria-hidden="true"></svg>' in shown(photo, 'alt=""')


@pytest.mark.parametrize("language", ["de", "fr", "en", "ar"])
def test_numbers_in_attributes_are_no_text(photo, upload, settings, language):
    settings.USE_THOUSAND_SEPARATOR = True
    Upload.objects.update(width=4000, height=3000)

    with translation.override(language):
        html = shown(photo)
        assert 'viewBox="0 0 4000 3000"' in html
        assert re.search(r'data-slow-in="(30.0|29.\d)"', html)
        html = shown(photo, "width=1200 height=1000.5")

    assert html.count('width="1200" height="1000.5"') == 2  # The box and the image to be.
    assert 'viewBox="0 0 1200 1000.5"' in html


# The script and the style sheet


def assets(html):
    return html.count(SCRIPT), html.count(STYLE)


def test_a_saved_image_needs_the_style_sheet_only_and_no_image_needs_nothing(saved):
    assert assets(shown(saved)) == (0, 1)
    assert assets(shown(OnlyImages.objects.create(), field_name="front")) == (0, 0)


def test_a_pending_image_brings_script_and_style_sheet(photo, upload):
    html = shown(photo)

    assert f'<script type="module" src="/static/django_async_forms/{SCRIPT}">' in html
    assert f'<link rel="stylesheet" href="/static/django_async_forms/{STYLE}">' in html


@pytest.mark.parametrize("tag", ["async_image photo 'image'", "async_file photo 'image'"])
def test_a_page_with_its_own_script_and_style_sheet_turns_those_of_the_tag_off(photo, upload, tag):
    assert assets(page(f"{{% {tag} assets=False %}}", photo=photo)) == (0, 0)


def test_all_that_the_tag_renders_is_in_its_element(photo, upload):
    html = shown(photo)

    assert html.startswith("<async-image ")
    assert html.endswith("</async-image>")


def test_a_page_has_script_and_style_sheet_once_for_all_its_images(photo, upload, saved, in_memory):
    save_image(in_memory(), saved)
    source = (
        "{% for p in photos %}{% async_image p 'image' %}{% async_file p 'image' %}{% endfor %}"
    )

    html = page(source * 2, photos=[photo, saved])

    assert html.count("<async-image ") == html.count("<async-file ") == 4
    assert assets(html) == (1, 1)


def test_a_page_of_many_templates_has_script_and_style_sheet_once(photo, upload, templates):
    tag = "{% load async_forms %}{% async_image photo 'image' %}"
    (templates / "part.html").write_text(tag)
    (templates / "base.html").write_text("{% include 'part.html' %}{% block more %}{% endblock %}")
    (templates / "page.html").write_text(
        "{% extends 'base.html' %}{% block more %}"
        "{% include 'part.html' %}{% include 'part.html' with photo=photo only %}"
        "{% for number in 'abc' %}{% include 'part.html' %}{% endfor %}"
        f"{tag}{{% endblock %}}"
    )

    html = get_template("page.html").render({"photo": photo})

    assert html.count("<async-image ") == 7
    assert assets(html) == (1, 1)


def test_each_page_has_script_and_style_sheet(photo, upload):
    template = Template("{% load async_forms %}{% async_image photo 'image' %}")

    for _ in range(2):
        assert assets(template.render(Context({"photo": photo}))) == (1, 1)


def test_the_first_pending_image_brings_the_script(saved, photo, upload):
    html = page("{% async_image a 'image' %}{% async_image b 'image' %}", a=saved, b=photo)

    assert assets(html) == (1, 1)


def test_script_and_style_sheet_have_no_nonce_without_a_policy(photo, upload):
    assert "nonce" not in shown(photo)


def test_script_and_style_sheet_have_the_nonce_of_the_policy(photo, upload):
    html = page("{% async_image p 'image' %}", p=photo, csp_nonce='a"b')

    assert re.findall(r"<(link|script) [^>]*nonce=\"a&quot;b\"", html) == ["link", "script"]


def test_script_and_style_sheet_have_the_nonce_that_django_csp_sets_on_the_request(
    photo, upload, rf
):
    request = rf.get("/")
    request.csp_nonce = SimpleLazyObject(lambda: "abc")

    assert page("{% async_image p 'image' %}", p=photo, request=request).count('nonce="abc"') == 2


@pytest.mark.parametrize("name", ["csp_nonce", "_csp_nonce"])
def test_script_and_style_sheet_have_the_nonce_of_the_request_in_an_included_template(
    name, photo, upload, rf
):
    request = rf.get("/")
    setattr(request, name, "abc")
    part = Template("{% load async_forms %}{% async_image p 'image' %}")

    html = Template("{% include part with p=p only %}").render(
        RequestContext(request, {"part": part, "p": photo})
    )

    assert html.count('nonce="abc"') == 2


@pytest.fixture
def django_nonce():
    """A nonce as the policy of Django 6.0 makes them: when one is needed."""
    csp = pytest.importorskip("django.utils.csp", reason="Django 6.0 has a policy of its own")
    return csp.LazyNonce()


def test_script_and_style_sheet_have_the_nonce_that_django_makes(photo, upload, django_nonce):
    html = page("{% async_image p 'image' %}", p=photo, csp_nonce=django_nonce)

    assert html.count(f'nonce="{django_nonce}"') == 2


def test_a_page_without_script_and_style_sheet_makes_no_nonce(photo, upload, django_nonce):
    page("{% async_image p 'image' assets=False %}", p=photo, csp_nonce=django_nonce)

    assert not django_nonce


# Without the URLs


@pytest.mark.urls("tests.project.urls")
def test_a_pending_image_without_the_status_url_says_to_reload_and_has_no_token(photo, upload):
    html = shown(photo)

    assert "Reload the page to see it." in visible(html)
    assert "data-token" not in html
    assert "data-status-url" not in html


# Many images


def test_many_instances_are_looked_up_with_two_queries(in_memory, django_assert_num_queries):
    photos = Photo.objects.bulk_create(Photo(title="Dune", image="dune.jpg") for _ in range(100))
    for photo in photos[::2]:
        save_image(in_memory(), photo)
    photos = list(Photo.objects.all())

    with django_assert_num_queries(2):
        photos = prefetch_uploads(photos, "image")
    with django_assert_num_queries(0):
        html = page("{% for p in photos %}{% async_image p 'image' %}{% endfor %}", photos=photos)

    assert html.count('data-state="pending"') == 50
    assert len(re.findall(r'<img src="/media/dune.jpg"', html)) == 100


def test_one_image_costs_two_queries_and_a_pending_one_costs_one(
    saved, in_memory, django_assert_num_queries
):
    with django_assert_num_queries(2):
        shown(saved)
    save_image(in_memory(), saved)
    with django_assert_num_queries(1):
        shown(saved)


def test_instances_come_back_in_their_order():
    photos = [Photo.objects.create(title=title) for title in "cab"]

    assert list(prefetch_uploads(photos, "image")) == photos
    titles = [p.title for p in prefetch_uploads(Photo.objects.order_by("title"), "image")]
    assert titles == ["a", "b", "c"]


def test_an_instance_that_is_refreshed_is_looked_up_anew(saved, in_memory):
    prefetch_uploads([saved], "image")
    save_image(in_memory(), Photo.objects.get())

    saved.refresh_from_db()

    assert 'data-state="pending"' in shown(saved)


def test_an_instance_whose_form_sends_an_image_is_looked_up_anew(saved, in_memory):
    prefetch_uploads([saved], "image")

    async_form(Photo, {"title": "Dune"}, {"image": in_memory()}, saved).save()

    assert 'data-state="pending"' in shown(saved)


def test_an_instance_whose_form_clears_its_pending_image_is_looked_up_anew(in_memory):
    pair = async_form(OnlyImages, {}, {"front": in_memory()}).save()
    prefetch_uploads([pair], "front")

    async_form(OnlyImages, {"front-clear": "on"}, {}, pair, ["front"]).save()

    assert shown(pair, field_name="front") == ""


def test_an_instance_from_a_cache_is_looked_up_anew(photo, upload):
    kept = pickle.dumps(prefetch_uploads([photo], "image"))
    assert b"django_async_forms" not in kept
    save_pending_uploads()

    [found] = pickle.loads(kept)

    assert images(shown(found)) == [f'<img src="{stored_url(photo)}" alt="Dune">']


def test_prefetching_for_no_instances_makes_no_query(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert list(prefetch_uploads([], "image")) == []
        prefetch_uploads([Photo(title="Dune")], "image")


def test_a_row_that_is_there_twice_is_looked_up_for_both(photo, upload, django_assert_num_queries):
    twice = [Photo.objects.get(), Photo.objects.get()]
    save_pending_uploads()

    prefetch_uploads(twice, "image")

    with django_assert_num_queries(0):
        html = "".join(shown(instance) for instance in twice)
    assert images(html) == [f'<img src="{stored_url(photo)}" alt="Dune">'] * 2


def test_rows_of_two_databases_are_not_confused(saved):
    there = Photo.objects.using("other").create(pk=saved.pk, title="Reef", image="reef.jpg")
    prefetched = prefetch_uploads([saved, there], "image")

    assert [instance.image.name for instance in prefetched] == [saved.image.name, "reef.jpg"]


def test_images_that_were_attached_since_are_put_on_the_instances(photo, upload):
    save_pending_uploads()

    prefetch_uploads([photo], "image")

    assert photo.image.url == stored_url(photo)


def test_fields_are_looked_up_one_by_one(in_memory, django_assert_num_queries):
    both = OnlyImages.objects.create()
    save_image(in_memory(), both, "back")
    prefetch_uploads([both], "front")
    prefetch_uploads([both], "back")

    with django_assert_num_queries(0):
        assert shown(both, field_name="front") == ""
        assert "pending" in shown(both, field_name="back")


def test_a_relation_as_key_is_looked_up_with_two_queries(django_assert_num_queries):
    for code in ("nl", "be", "fr"):
        Flag.objects.create(country=Country.objects.create(code=code), image="flag.png")

    flags = list(Flag.objects.all())
    with django_assert_num_queries(2):
        prefetch_uploads(flags, "image")


# Templates of the project's own


def test_a_template_of_the_projects_own_is_used(photo, upload, templates):
    (templates / "django_async_forms/image.html").write_text(
        "<p>{{ state }}, {{ box.0 }} by {{ box.1 }}: {{ upload.name }}</p>"
    )

    assert shown(photo) == "<p>pending, 320 by 240: dune.jpg</p>"


def test_a_template_for_the_img_of_the_projects_own_is_used(saved, templates):
    (templates / "django_async_forms/img.html").write_text("<b>{{ src }}, {{ alt }}</b>")

    assert f"<b>{saved.image.url}, Dune</b>" in shown(saved)


def test_the_tag_needs_no_request_and_no_context_processors(photo, upload):
    engine = Engine(
        app_dirs=True, libraries={"async_forms": "django_async_forms.templatetags.async_forms"}
    )
    engine.template_libraries.update(
        engine.get_template_libraries(
            {
                "i18n": "django.templatetags.i18n",
                "l10n": "django.templatetags.l10n",
                "static": "django.templatetags.static",
            }
        )
    )
    template = engine.from_string("{% load async_forms %}{% async_image photo 'image' %}")

    assert "pending" in template.render(Context({"photo": photo}))


# In a form


def test_a_form_shows_the_image_that_is_there(saved):
    html = str(PhotoForm(instance=saved)["image"])

    assert f'<img src="{saved.image.url}" alt="Currently"' in html


def test_a_form_shows_the_image_that_is_being_saved(photo, upload):
    assert "The image is being saved" in str(PhotoForm(instance=photo)["image"])


def test_a_form_for_a_new_instance_shows_no_image():
    html = str(PhotoForm()["image"])

    assert "<img" not in html
    assert "<async-image " not in html


def test_an_invalid_form_shows_the_image_that_is_stored(saved, in_memory):
    form = PhotoForm({"title": ""}, {"image": in_memory("new.jpg")}, instance=saved)

    assert re.findall(r'<img src="([^"]*)"', form.as_p()) == [stored_url(saved)]


def test_an_invalid_form_for_a_new_instance_with_a_key_of_its_own_shows_no_image(in_memory):
    class KeyedForm(AsyncImageModelForm):
        image_widget = AsyncImageInput

        class Meta:
            model = Keyed
            fields = ["title", "image"]

    assert "new.jpg" not in KeyedForm({"title": "x" * 200}, {"image": in_memory("new.jpg")}).as_p()


def test_a_page_is_shown_in_a_transaction_that_will_be_rolled_back(saved):
    with transaction.atomic():
        form = PhotoForm({"title": "Dune"}, {}, instance=saved)
        form.save()
        transaction.set_rollback(True)

        assert saved.image.url in str(form)
        assert saved.image.url in shown(saved)
        transaction.set_rollback(False)


@pytest.mark.parametrize("tag", ["async_image", "async_file"])
@pytest.mark.parametrize("name", ["nothing", "missing.profile"])
def test_a_page_without_the_instance_shows_nothing(tag, name):
    assert page(f'[{{% {tag} {name} "image" %}}]', nothing=None) == "[]"
