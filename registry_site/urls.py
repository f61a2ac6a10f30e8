"""Addresses of the site."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path

urlpatterns = [
    path("", include("indexer.urls")),
    path(
        "login",
        auth_views.LoginView.as_view(
            template_name="login.html", redirect_authenticated_user=True
        ),
        name="login",
    ),
    path("logout", auth_views.LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
]
handler400 = "indexer.views.errors.bad_request"
handler403 = "indexer.views.errors.permission_denied"
handler404 = "indexer.views.errors.not_found"
handler500 = "indexer.views.errors.server_error"
