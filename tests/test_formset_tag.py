"""``{% async_formset %}`` and ``several_images``: what the page's source has."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.forms import inlineformset_factory, modelformset_factory
from django.template import Context, Template, TemplateSyntaxError
from django.urls import path
from django.utils import translation

from django_async_forms.admin import AsyncImageAdminMixin
from django_async_forms.forms import AsyncImageModelForm
from tests.project.models import Album, Slide, Triptych


class SlideInline(AsyncImageAdminMixin, admin.TabularInline):
    model = Slide
    several_images = True
    order_field = "position"


class AlbumAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
    inlines = [SlideInline]


site = admin.AdminSite()
site.register(Album, AlbumAdmin)
urlpatterns = [path("admin/", site.urls)]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture
def album():
    return Album.objects.create(name="Dunes")


def formset_of(instance, model, **options):
    options = {"fields": "__all__", "form": AsyncImageModelForm, **options}
    return inlineformset_factory(type(instance), model, **options)(instance=instance)


def render(formset, options="", **context):
    source = "{% load async_forms %}{% async_formset formset " + options + " %}"
    return Template(source).render(Context({"formset": formset, **context}))


def test_the_empty_form_stands_in_a_template_and_the_others_have_their_prefix_as_id(album):
    html = render(formset_of(album, Slide, extra=2))

    before, empty = html.split('<template id="slides-empty">')
    ids = r'<div class="async-images-form" id="([^"]+)"'
    assert re.findall(ids, before) == ["slides-0", "slides-1"]
    assert re.findall(ids, empty) == ["slides-__prefix__"]


def test_each_form_has_all_its_fields_and_the_package_s_input(album):
    formset = formset_of(album, Slide, extra=1)
    html = render(formset)

    for name in formset.empty_form.fields:
        assert f'name="slides-0-{name}"' in html
    assert html.count("<async-image-input") == 2


def test_the_input_for_several_images_has_no_name_and_waits_for_its_script(album):
    html = render(formset_of(album, Slide))

    (chooser,) = re.findall(r'<div class="async-images-chooser"[^>]*>', html)
    (several,) = re.findall(r"<input [^>]*multiple[^>]*>", html)
    assert " hidden" in chooser
    assert "name=" not in several
    assert 'accept="image/' in several


def test_the_errors_of_hidden_fields_are_shown(album):
    formset_class = inlineformset_factory(Album, Slide, form=AsyncImageModelForm, fields=["image"])
    slide = Slide.objects.create(album=album)
    data = {"slides-TOTAL_FORMS": 1, "slides-INITIAL_FORMS": 1, "slides-0-id": slide.pk + 1}
    html = render(formset_class(data, instance=album))

    assert "Select a valid choice" in html


@pytest.mark.parametrize(("options", "field"), [("", "left"), ('field="right"', "right")])
def test_the_field_is_the_first_image_field_or_the_one_that_is_named(options, field):
    formset_class = modelformset_factory(Triptych, form=AsyncImageModelForm, fields="__all__")

    assert f'data-field="{field}"' in render(formset_class(), options)


@pytest.mark.parametrize("options", ['field="photo"', 'order="place"'])
def test_a_field_that_the_forms_do_not_have_is_an_error(album, options):
    name = options.split('"')[1]

    with pytest.raises(TemplateSyntaxError, match=f"no form field '{name}'.*caption"):
        render(formset_of(album, Slide), options)


@pytest.mark.parametrize(
    ("factory", "options", "order"),
    [
        ({}, "", ""),
        ({}, 'order="position"', "position"),
        ({"can_order": True}, "", "ORDER"),
        ({"can_order": True}, 'order="position"', "position"),
    ],
)
def test_the_order_is_the_field_that_is_named_or_the_formset_s(album, factory, options, order):
    html = render(formset_of(album, Slide, **factory), options)

    assert f'data-order="{order}"' in html
    assert html.count('class="async-images-order"') == (4 if order else 0)


def test_each_script_and_style_sheet_has_the_nonce_of_the_page(album):
    html = render(formset_of(album, Slide), csp_nonce="abc")

    tags = re.findall(r"<(?:script|link)\b[^>]*>", html)
    assert len(tags) == 8
    assert all('nonce="abc"' in tag for tag in tags)


def test_the_limit_is_in_the_page_s_language(album):
    with translation.override("nl"):
        html = render(formset_of(album, Slide, max_num=1))

    assert 'data-limit="De limiet is 1 afbeelding."' in html


def test_a_formset_without_images_is_a_formset(album):
    html = render(formset_of(album, Slide, fields=["caption"]))

    assert 'name="slides-0-caption"' in html
    assert "multiple" not in html


def test_many_images_cost_two_queries(album, django_assert_num_queries):
    Slide.objects.bulk_create(Slide(album=album, image=f"{index}.jpg") for index in range(5))
    formset = formset_of(album, Slide, extra=0)
    assert len(formset.forms) == 5

    with django_assert_num_queries(2):  # The uploads, and the rows of images without one.
        render(formset)


def test_an_inline_that_a_user_may_only_view_takes_no_images(client, django_user_model, album):
    user = django_user_model.objects.create_user("viewer", is_staff=True)
    permissions = Permission.objects.filter(codename__in=["view_album", "view_slide"])
    user.user_permissions.set(permissions)
    Slide.objects.create(album=album, caption="The first")
    client.force_login(user)

    html = client.get(f"/admin/project/album/{album.pk}/change/").content.decode()

    assert "The first" in html
    assert "multiple" not in html


def test_an_inline_keeps_its_own_template():
    inline = SlideInline(Album, site)

    assert inline.inline_template == "admin/edit_inline/tabular.html"
