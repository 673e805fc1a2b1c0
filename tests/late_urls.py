"""The URLs of a project, which alone import its views and forms."""

from django import forms
from django.urls import path

from django_async_forms.forms import AsyncImageFormMixin
from django_async_forms.views import AsyncImageCreateView
from tests.project.models import Photo


class TooLateForm(forms.ModelForm, AsyncImageFormMixin):
    """The mixin comes after the form, so the request saves the image."""

    class Meta:
        model = Photo
        fields = ["title", "image"]


urlpatterns = [path("photos/add/", AsyncImageCreateView.as_view(form_class=TooLateForm))]
