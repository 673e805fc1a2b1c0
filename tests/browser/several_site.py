"""The pages of formsets that take several images at once, under the strictest policy."""

from django import forms
from django.contrib import admin
from django.forms import inlineformset_factory, modelformset_factory
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.template import engines
from django.urls import include, path

from django_async_forms.admin import AsyncImageAdminMixin
from django_async_forms.forms import AsyncImageModelForm
from tests.browser.everywhere import strict_policy
from tests.project.models import Album, Page, Photo, Slide

PAGE = """{% load async_forms static %}<!doctype html><html lang="en"><title>Album</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="stylesheet" href="{% static "django_async_forms/form.css" %}" nonce="{% async_nonce %}">
<main><h1>Album</h1>
<form method="post" enctype="multipart/form-data">{% csrf_token %}
{{ album_form.as_div }}
{% async_formset formset order=order %}
<button>Save</button></form></main>"""


class AlbumForm(forms.ModelForm):
    class Meta:
        model = Album
        fields = ["name"]


class OtherForm(AsyncImageModelForm):
    """Refuses one image and one caption, once the form has arrived."""

    def clean(self):
        if self.cleaned_data.get("caption") == "refused":
            raise forms.ValidationError("Another caption, please.")
        image = self.cleaned_data.get("image")
        if image and image.name.startswith("refused"):
            self.add_error("image", "Another one, please.")


#: What a test changes of the formset: arguments of the factory.
options = {}
#: What was posted: the fields that are not empty, and the names of the files.
posts = []


def note(request):
    values = {name: value for name, value in request.POST.items() if value and "csrf" not in name}
    posts.append({**values, **{name: file.name for name, file in request.FILES.items()}})


def edit_album(request, pk):
    """Edit an album with its slides, as an inline formset with the model's order."""
    album = get_object_or_404(Album, pk=pk)
    formset_class = inlineformset_factory(
        Album,
        Slide,
        form=OtherForm,
        fields=["image", "caption", "position"],
        **{"extra": 0, "validate_max": True, **options},
    )
    data = (request.POST, request.FILES) if request.method == "POST" else ()
    form = AlbumForm(*data[:1], instance=album)
    formset = formset_class(*data, instance=album, form_kwargs={"request": request})
    if data:
        note(request)
        if form.is_valid() and formset.is_valid():
            form.save()
            formset.save()
            return HttpResponse("<!doctype html><h1>Thanks</h1>")
    return page(request, {"album_form": form, "formset": formset, "order": "position"})


def edit_photos(request):
    """Edit photos that belong to nothing, with the formset's own order and another prefix."""
    formset_class = modelformset_factory(
        Photo,
        form=OtherForm,
        fields=["title", "image"],
        **{"extra": 2, "can_order": True, "can_delete": True, **options},
    )
    data = (request.POST, request.FILES) if request.method == "POST" else ()
    formset = formset_class(*data, prefix="a-0", form_kwargs={"request": request})
    if data:
        note(request)
        if formset.is_valid():
            formset.save()
            return HttpResponse("<!doctype html><h1>Thanks</h1>")
    return page(request, {"formset": formset, "order": ""})


def page(request, context):
    return HttpResponse(engines["django"].from_string(PAGE).render(context, request))


def policy(get_response):
    """Send the policy with all pages but the admin's, whose scripts write markup."""
    strict = strict_policy(get_response)

    def middleware(request):
        return (get_response if request.path.startswith("/admin/") else strict)(request)

    return middleware


class SlideInline(AsyncImageAdminMixin, admin.TabularInline):
    model = Slide
    form = OtherForm
    fields = ["image", "caption", "position"]
    extra = 0
    several_images = True
    order_field = "position"


class PageInline(AsyncImageAdminMixin, admin.StackedInline):
    model = Page
    fields = ["image", "caption"]
    extra = 1
    max_num = 3
    several_images = True


class AlbumAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
    inlines = [SlideInline, PageInline]


site = admin.AdminSite()
site.register(Album, AlbumAdmin)

urlpatterns = [
    path("album/<int:pk>/", edit_album),
    path("photos/", edit_photos),
    path("admin/", site.urls),
    path("uploads/", include("django_async_forms.urls")),
]
