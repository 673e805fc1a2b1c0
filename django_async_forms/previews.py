"""Shows an image to the person who sent it, and to nobody else, until a worker has saved it."""

from __future__ import annotations

import logging

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from .conf import conf
from .draft_model import Draft
from .draft_sender import sender_of
from .models import Upload
from .staged_response import NotShownError, staged_response
from .status import saved_url, upload_of
from .tokens import read_token

logger = logging.getLogger("django_async_forms")


def draft_preview(draft: Draft, request: HttpRequest) -> HttpResponseBase | None:
    """Return a draft as an image for its sender, or ``None`` if it may not be shown."""
    if draft.is_hidden or not draft.is_checked:
        return None
    return _preview(draft, request)


def _preview(staged: Draft | Upload, request: HttpRequest) -> HttpResponseBase | None:
    if not conf().SHOW_STAGED:
        return None
    try:
        return staged_response(staged, request, images_only=True)
    except (FileNotFoundError, NotShownError):
        return None
    except Exception as error:
        kind = type(staged).__name__
        logger.warning("%s %s: its staged file is not shown: %r", kind, staged.pk, error)
        return HttpResponse(status=503)


# The session that sent the image may see it, logged in or not. So no login is required.
@login_not_required
@require_safe
@cache_control(private=True, no_store=True)
def staged_image(request: HttpRequest, token: str) -> HttpResponseBase:
    """
    Give the staged image of a pending upload to its sender, for ``{% async_image %}``.

    The token is the one for the image's status. Once the image is saved, the view redirects to it.
    """
    target = read_token(token)
    if target is None:
        raise Http404
    response: HttpResponseBase | None = None
    upload = upload_of(target)
    if upload is not None:
        sender = sender_of(request)
        # Also one that has just failed: the page was made while it was pending.
        if sender is not None and upload.sender == sender.key:
            response = _preview(upload, request)
        if response is None:
            upload = upload_of(target)  # A worker may have attached the image meanwhile.
    if upload is None and response is None:
        url = saved_url(target)
        response = None if url is None else HttpResponseRedirect(url)
    if response is None:
        raise Http404
    return response
