"""``{% async_image %}``: an image, or the place where it will be, as the page's source has it."""

import re

import pytest
from django.core.exceptions import FieldDoesNotExist
from django.core.files.base import ContentFile
from django.template import Context, Engine, Template, TemplateSyntaxError
from django.template.loader import get_template
from django.test import Client
from django.urls import include, path
from django.utils import translation

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.status import prefetch_uploads
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from django_async_forms.widgets import AsyncImageInput
from tests import pictures
from tests.project.models import (
    Country,
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

urlpatterns = [path("uploads/", include("django_async_forms.urls"))]

pytestmark = [
    pytest.mark.django_db(databases=["default", "other"]),
    pytest.mark.urls(__name__),
]

SCRIPT = "async-image.js"
STYLE = "async-image.css"


class PhotoForm(AsyncImageModelForm):
    image_widget = AsyncImageInput

    class Meta:
        model = Photo
        fields = ["title", "image"]


@pytest.fixture
def photo():
    """A photo that has no image yet."""
    return Photo.objects.create(title="Dune")


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


def give_up(upload):
    Upload.objects.filter(pk=upload.pk).update(state="failed", error="OSError: no room")


def page(source, **context):
    return Template("{% load async_forms %}" + source).render(Context(context))


def shown(instance, options="", field_name="image"):
    """Return the source of the image on a page."""
    source = f'{{% async_image instance "{field_name}" {options} %}}'
    return page(source, instance=instance).strip()


def visible(html):
    """Return the source without what a browser hides: notes for other states, the template."""
    html = re.sub(r"<template.*?</template>", "", html, flags=re.S)
    return re.sub(r"^ *<span[^>]* hidden>.*</span>$", "", html, flags=re.M)


# A saved image


def test_a_saved_image_is_an_img_and_nothing_else(saved):
    assert shown(saved) == f'<img src="{saved.image.url}" alt="Dune">'


def test_no_image_is_nothing():
    assert shown(OnlyImages.objects.create(), field_name="front") == ""


def test_an_instance_that_was_never_saved_is_nothing():
    assert shown(Photo(title="Dune")) == ""


def test_an_instance_that_was_never_saved_and_has_its_key_is_nothing():
    assert shown(Keyed()) == ""


@pytest.mark.parametrize("make", [Photo, Keyed])
def test_an_upload_that_was_never_saved_is_nothing(make, in_memory):
    assert shown(make(title="Dune", image=in_memory())) == ""


def test_the_upload_in_an_invalid_form_is_not_shown_as_the_image(saved, in_memory):
    form = PhotoForm({"title": ""}, {"image": in_memory("new.jpg")}, instance=saved)
    assert not form.is_valid()

    assert shown(form.instance) == f'<img src="{stored_url(saved)}" alt="Dune">'


def test_the_upload_in_an_invalid_form_is_not_shown_while_another_is_pending(saved, in_memory):
    save_image(in_memory(), saved)
    form = PhotoForm({"title": "Reef"}, {"image": in_memory("new.jpg")}, instance=saved)
    assert form.is_valid()

    assert re.findall(r'src="([^"]*\.jpg)"', shown(form.instance)) == [stored_url(saved)]


def test_looking_at_an_upload_that_is_to_be_saved_leaves_it_there(photo, in_memory):
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
        '<svg class="async-image-box" viewBox="0 0 320 240" role="img" aria-label="Dune">' in html
    )
    assert "The image is being saved" in visible(html)
    assert "could not be saved" not in visible(html)
    assert "<img" not in visible(html)


def test_an_image_that_is_being_saved_has_a_token_that_the_endpoint_answers(photo, upload):
    html = shown(photo)
    (address,) = re.findall(r'data-status-url="([^"]*)"', html)
    (token,) = re.findall(r'data-token="([^"]*)"', html)

    response = Client().post(address, {"tokens": [token]}, content_type="application/json")

    assert response.json() == {"images": {token: {"state": "pending"}}}


def test_the_image_that_will_be_shown_has_all_but_its_address(photo, upload):
    html = shown(photo, 'class="wide" width=32 height=24 loading="lazy"')

    (template,) = re.findall(r"<template[^>]*>(.*)</template>", html, re.S)
    assert template.strip() == '<img alt="Dune" class="wide" width="32" height="24" loading="lazy">'


def test_an_image_that_could_not_be_saved_says_so(photo, upload):
    give_up(upload)

    html = shown(photo)

    assert '<async-image data-state="failed">' in html
    assert "The image could not be saved" in visible(html)
    assert "The image is being saved" not in visible(html)
    assert "Refresh" not in visible(html)


def test_an_image_that_could_not_be_saved_does_not_say_why(photo, upload):
    give_up(upload)

    assert "no room" not in shown(photo)


def test_an_image_that_could_not_be_saved_asks_nothing(photo, upload):
    give_up(upload)

    html = shown(photo)

    assert "data-token" not in html
    assert "data-status-url" not in html


def test_the_old_image_is_shown_while_the_new_one_is_being_saved(saved, in_memory):
    save_image(in_memory(), saved)

    html = shown(saved)

    assert f'<img src="{saved.image.url}" alt="Dune">' in visible(html)
    assert "The new image is being saved" in visible(html)
    assert "<svg" not in html


def test_the_old_image_is_shown_where_the_new_one_could_not_be_saved(saved, in_memory):
    give_up(save_image(in_memory(), saved))

    assert f'<img src="{saved.image.url}" alt="Dune">' in visible(shown(saved))


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

    assert shown(instance, 'alt=""') == f'<img src="{stored_url(instance)}" alt="">'


def test_an_upload_of_a_child_is_shown_on_its_parent(in_memory):
    save_image(in_memory(), Restaurant.objects.create(name="Reef"), "image")

    assert "pending" in shown(Place.objects.get())


def stored_url(instance):
    return type(instance)._base_manager.get(pk=instance.pk).image.url


# An instance that was loaded before


def test_an_image_that_was_attached_since_is_shown(photo, upload):
    save_pending_uploads()

    assert shown(photo) == f'<img src="{stored_url(photo)}" alt="Dune">'


def test_a_new_image_that_was_attached_since_is_shown_and_not_the_old_one(saved, in_memory):
    save_image(in_memory("new.jpg"), saved)
    save_pending_uploads()

    assert re.findall(r'src="([^"]*)"', shown(saved)) == [stored_url(saved)]
    assert "new" in stored_url(saved)


def test_the_measures_of_an_image_that_was_attached_since_are_its_own(in_memory):
    measured = Measured.objects.create(title="Dune")
    save_image(in_memory(data=pictures.jpeg(80, 40)), measured, "image")
    save_pending_uploads()

    shown(measured)

    assert (measured.width, measured.height) == (80, 40)


def test_an_image_that_was_cleared_since_is_not_shown():
    both = OnlyImages.objects.create(front=picture())
    OnlyImages.objects.update(front="")

    assert shown(both, field_name="front") == ""


def test_the_next_page_asks_anew(photo, upload):
    assert "pending" in shown(photo)
    save_pending_uploads()

    assert "pending" not in shown(photo)


# Options


def test_the_options_are_those_of_an_img(saved):
    assert shown(saved, 'alt="A dune" class="wide tall" width=32 height=24 loading="lazy"') == (
        f'<img src="{saved.image.url}" alt="A dune" class="wide tall" width="32" height="24" '
        'loading="lazy">'
    )


def test_an_empty_alt_is_empty(saved):
    assert 'alt=""' in shown(saved, 'alt=""')


def test_the_options_are_on_the_empty_box_too(photo, upload):
    assert (
        '<svg class="async-image-box wide" viewBox="0 0 32 24" width="32" height="24" role="img" '
        'aria-label="A dune">'
    ) in shown(photo, 'alt="A dune" class="wide" width=32 height=24')


def test_an_option_that_does_not_exist_is_an_error(saved):
    with pytest.raises(TemplateSyntaxError, match="size, title"):
        shown(saved, 'title="Dune" size=5 alt=""')


@pytest.mark.parametrize("name", ["picture", "title", ""])
def test_a_field_that_does_not_exist_is_an_error(saved, name):
    with pytest.raises(FieldDoesNotExist, match="image"):
        shown(saved, field_name=name)


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
    photo = Photo.objects.create(title="Dune", image='photos/"><b>.jpg')

    assert "<b>" not in shown(photo)


# The box


def test_the_box_has_the_ratio_of_the_options_before_that_of_the_upload(photo, upload):
    assert 'viewBox="0 0 50 60"' in shown(photo, "width=50 height=60")


def test_the_box_has_the_ratio_of_the_upload_where_one_option_is_missing(photo, upload):
    html = shown(photo, "width=50")

    assert 'viewBox="0 0 320 240" width="50" role' in html


def test_the_box_has_some_ratio_where_nothing_is_known(photo, upload):
    Upload.objects.update(width=None, height=None)

    assert 'viewBox="0 0 3 2"' in shown(photo)


@pytest.mark.parametrize("language", ["de", "fr", "en", "ar"])
def test_numbers_in_attributes_are_no_text(photo, upload, settings, language):
    settings.USE_THOUSAND_SEPARATOR = True
    Upload.objects.update(width=4000, height=3000)

    with translation.override(language):
        html = shown(photo)
        assert 'viewBox="0 0 4000 3000"' in html
        html = shown(photo, "width=1200 height=1000.5")

    assert html.count('width="1200" height="1000.5"') == 2  # The box and the image to be.
    assert 'viewBox="0 0 1200 1000.5"' in html


# The script and the style sheet


def assets(html):
    return html.count(SCRIPT), html.count(STYLE)


def test_a_saved_image_needs_no_script(saved):
    assert assets(shown(saved)) == (0, 0)


def test_a_pending_image_brings_script_and_style_sheet(photo, upload):
    html = shown(photo)

    assert f'<script type="module" src="/static/django_async_forms/{SCRIPT}">' in html
    assert f'<link rel="stylesheet" href="/static/django_async_forms/{STYLE}">' in html


def test_a_page_has_them_once_for_all_its_images(photo, upload, saved, in_memory):
    save_image(in_memory(), saved)
    source = "{% for p in photos %}{% async_image p 'image' %}{% endfor %}"

    html = page(source * 2, photos=[photo, saved])

    assert html.count("<async-image") == 4
    assert assets(html) == (1, 1)


def test_a_page_has_them_once_where_it_is_made_of_many_templates(photo, upload, templates):
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

    assert html.count("<async-image") == 7
    assert assets(html) == (1, 1)


def test_each_page_has_them(photo, upload):
    template = Template("{% load async_forms %}{% async_image photo 'image' %}")

    for _ in range(2):
        assert assets(template.render(Context({"photo": photo}))) == (1, 1)


def test_the_first_pending_image_brings_them(saved, photo, upload):
    html = page("{% async_image a 'image' %}{% async_image b 'image' %}", a=saved, b=photo)

    assert assets(html) == (1, 1)


# Without the URLs


@pytest.mark.urls("tests.project.urls")
def test_without_the_status_url_there_is_a_link_to_refresh_and_no_token(photo, upload):
    html = shown(photo)

    assert '<a href="">Refresh</a>' in visible(html)
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

    assert html.count("<async-image") == 50
    assert len(re.findall(r'<img src="/media/dune.jpg"', html)) == 100


def test_one_image_costs_two_queries(saved, django_assert_num_queries):
    with django_assert_num_queries(2):
        shown(saved)


def test_a_pending_image_costs_one_query(upload, django_assert_num_queries):
    photo = Photo.objects.get()

    with django_assert_num_queries(1):
        shown(photo)


def test_instances_come_back_in_their_order():
    photos = [Photo.objects.create(title=title) for title in "cab"]

    assert list(prefetch_uploads(photos, "image")) == photos
    titles = [p.title for p in prefetch_uploads(Photo.objects.order_by("title"), "image")]
    assert titles == ["a", "b", "c"]


def test_none_are_looked_up_without_a_query(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert list(prefetch_uploads([], "image")) == []
        prefetch_uploads([Photo(title="Dune")], "image")


def test_a_row_that_is_there_twice_is_looked_up_for_both(photo, upload, django_assert_num_queries):
    twice = [Photo.objects.get(), Photo.objects.get()]
    save_pending_uploads()

    prefetch_uploads(twice, "image")

    with django_assert_num_queries(0):
        images = [shown(instance) for instance in twice]
    assert images == [f'<img src="{stored_url(photo)}" alt="Dune">'] * 2


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

    assert shown(saved) == f"<b>{saved.image.url}, Dune</b>"


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

    assert f'<img src="{saved.image.url}" alt="Currently">' in html


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

    form = KeyedForm({"title": "x" * 200}, {"image": in_memory("new.jpg")})

    assert "new.jpg" not in form.as_p()
