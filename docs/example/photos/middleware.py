"""A stopwatch for the page that compares the two ways, and a strict policy for all pages."""

import secrets
import time

from django.conf import settings

from django_async_forms.views import AsyncImageViewMixin


def stopwatch(get_response):
    """Remember in the session how many milliseconds the last form of each way took."""

    def middleware(request):
        started = time.perf_counter()
        response = get_response(request)
        took = round((time.perf_counter() - started) * 1000)
        match = request.resolver_match
        view = getattr(match.func, "view_class", None) if match else None
        if view and request.method == "POST" and response.status_code == 302:
            way = "worker" if issubclass(view, AsyncImageViewMixin) else "plain"
            request.session["answered"] = {**request.session.get("answered", {}), way: took}
        return response

    return middleware


def content_security_policy(get_response):
    """
    Send the policy of the settings with each page, and a nonce for its scripts and styles.

    The templates of django_async_forms take the nonce from ``request.csp_nonce``. A project on
    Django 6 can use Django's own middleware in place of this one, and django-csp works as well.
    """

    def middleware(request):
        request.csp_nonce = secrets.token_urlsafe(16)
        response = get_response(request)
        # With DEBUG, Django's own pages about errors come with their scripts and styles inside.
        if response.status_code < 400 or not settings.DEBUG:
            is_admin = request.path.startswith("/admin/")
            policy = settings.ADMIN_POLICY if is_admin else settings.POLICY
            response["Content-Security-Policy"] = policy.replace("NONCE", request.csp_nonce)
        return response

    return middleware
