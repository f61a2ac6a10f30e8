"""Addresses of the site."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path

from indexer.views import sign_in

urlpatterns = [
    path("", include("indexer.urls")),
    path("login", sign_in.login, name="login"),
    path("logout", auth_views.LogoutView.as_view(), name="logout"),
    path("admin/login/", sign_in.admin_login),  # in place of the administration's own
    path("admin/", admin.site.urls),
]
handler400 = "indexer.views.errors.bad_request"
handler403 = "indexer.views.errors.permission_denied"
handler404 = "indexer.views.errors.not_found"
handler500 = "indexer.views.errors.server_error"
