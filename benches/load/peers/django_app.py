"""Django REST framework on gunicorn: the key by its SHA-256 in SQLite, with the user in the same query, and the framework's
own throttle. It keeps the time of every request of its window, so the window is a second."""
import hashlib, json, os

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True, SECRET_KEY="only for a measurement", LOGGING_CONFIG=None,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"], "CONN_MAX_AGE": None}},
    REST_FRAMEWORK={"DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]},
)
django.setup()

from django.core.wsgi import get_wsgi_application
from django.db import connection, models
from django.urls import path
from rest_framework import authentication, exceptions, permissions, serializers, throttling
from rest_framework.response import Response
from rest_framework.views import APIView


class User(models.Model):
    id = models.CharField(primary_key=True, max_length=40)
    name = models.CharField(max_length=200)
    email = models.CharField(max_length=200)
    account_id = models.CharField(max_length=40)
    role = models.CharField(max_length=20)
    status = models.CharField(max_length=20)
    created_at = models.CharField(max_length=40)
    updated_at = models.CharField(max_length=40)
    is_authenticated = True

    class Meta:
        app_label = "bench"


class Key(models.Model):
    hash = models.CharField(primary_key=True, max_length=64)
    user = models.ForeignKey(User, on_delete=models.CASCADE)

    class Meta:
        app_label = "bench"


class ByKey(authentication.BaseAuthentication):
    def authenticate(self, request):
        kind, _, secret = request.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer":
            return None
        key = Key.objects.select_related("user").filter(hash=hashlib.sha256(secret.encode()).hexdigest()).first()
        if key is None:
            raise exceptions.AuthenticationFailed
        return key.user, key

    def authenticate_header(self, request):
        return "Bearer"


class EachKey(throttling.SimpleRateThrottle):
    rate = "1000000/s"

    def get_cache_key(self, request, view):
        return f"key:{request.auth.hash}"


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ["id", "name", "email", "account_id", "role", "status", "created_at", "updated_at"]


class Me(APIView):
    authentication_classes, throttle_classes, permission_classes = [ByKey], [EachKey], [permissions.IsAuthenticated]

    def get(self, request):
        return Response(UserSerializer(request.user).data)


def fill():
    with connection.schema_editor() as editor:
        editor.create_model(User)
        editor.create_model(Key)
    with open(os.environ["KEYS"]) as file:
        keys = json.load(file)
    User.objects.bulk_create(User(**key["user"]) for key in keys)
    Key.objects.bulk_create(Key(hash=key["hash"], user_id=key["user"]["id"]) for key in keys)
    connection.close()


fill()
urlpatterns = [path("v1/users/me", Me.as_view())]
application = get_wsgi_application()
