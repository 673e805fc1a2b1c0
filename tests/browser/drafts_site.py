"""The pages of forms whose images are sent early: a test says what stands in the form."""

from django import forms
from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.forms import modelformset_factory
from django.http import HttpResponse, HttpResponseRedirect
from django.template import engines
from django.urls import include, path
from django.views.decorators.csrf import csrf_protect

from django_async_forms.admin import AsyncImageAdminMixin
from django_async_forms.forms import AsyncImageFormMixin
from django_async_forms.widgets import AsyncImageInput
from tests.browser.forms_site import POLICY, AlbumAdmin, media
from tests.project.models import Album, Photo, Triptych

PAGE = """{% load async_forms %}<!doctype html><html lang="en"><title>Form</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
{{ head|safe }}
<form method="post" enctype="multipart/form-data" {{ attributes|safe }}>{% csrf_token %}
{{ form.as_div }}{{ buttons|safe }}</form>{{ after|safe }}
{% if form.empty_form %}<template>{{ form.empty_form.as_div }}</template>{% endif %}"""


class PhotoForm(AsyncImageFormMixin, forms.ModelForm):
    image_widget = AsyncImageInput

    class Meta:
        model = Photo
        fields = ["title", "image"]


class OtherForm(PhotoForm):
    """Refuses what Django's own field accepts."""

    def clean_image(self):
        raise forms.ValidationError("Another one, please.")


class ThreeForm(AsyncImageFormMixin, forms.ModelForm):
    image_widget = AsyncImageInput
    title = forms.CharField()

    class Meta:
        model = Triptych
        fields = ["left", "middle", "right"]


FormSet = modelformset_factory(Photo, PhotoForm, extra=1)


def formset(*args, request):
    return FormSet(*args, queryset=Photo.objects.none(), form_kwargs={"request": request})


FORMS = {"photo": PhotoForm, "other": OtherForm, "three": ThreeForm, "formset": formset}

ANSWERS = {
    "page": lambda: HttpResponse("<h1>Thanks</h1>"),
    "nothing": lambda: HttpResponse(status=204),
    "redirect": lambda: HttpResponseRedirect("/fill-in/photo/"),
}

#: What a test writes into the form's page: head, attributes, buttons, after.
written = {}
#: What was posted: the fields that are not empty, and the names of the files.
posts = []


@csrf_protect
def fill_in(request, kind, answer="page"):
    make = FORMS[kind]
    if request.method == "GET":
        return form_page(make(request=request), request)
    # Django has an empty file input there, too.
    values = {name: value for name, value in request.POST.items() if value and "csrf" not in name}
    posts.append({**values, **{name: file.name for name, file in request.FILES.items()}})
    form = make(request.POST, request.FILES, request=request)
    if not form.is_valid():
        return form_page(form, request)
    form.save()
    return ANSWERS[answer]()


def form_page(form, request):
    head = "" if "plain" in request.GET else media(form)
    context = {
        "form": form,
        "buttons": "<button>Save</button>",
        **written,
        "head": head + written.get("head", ""),
    }
    html = engines["django"].from_string(PAGE).render(context, request)
    return HttpResponse(html, headers={"Content-Security-Policy": POLICY})


site = admin.AdminSite()
site.register(Album, AlbumAdmin)


@admin.register(Photo, site=site)
class PhotoAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
    pass


urlpatterns = [
    # For servers that are not the live one.
    path("static/<path:path>", serve, {"insecure": True}),
    path("fill-in/<slug:kind>/", fill_in),
    path("fill-in/<slug:kind>/<slug:answer>/", fill_in),
    path("admin/", site.urls),
    path("", include("tests.browser.site")),
]
