"""The storages of django-storages follow the rules for a staging storage, on local servers."""

import pytest
from django.test import SimpleTestCase

from django_async_forms.test import StagingStorageTests
from tests.faults.processes import free_port

from . import libraries


class S3StagingTests(StagingStorageTests, SimpleTestCase):
    @pytest.fixture(autouse=True)
    def _bucket(self, bucket, session):
        self.session = session

    def get_storage(self):
        from .models.s3 import LoopbackStorage

        storage = LoopbackStorage()
        storage._create_session = lambda: self.session
        return storage


# Google's packages warn of the oldest Python, which they no longer change anything for.
@pytest.mark.filterwarnings("ignore:You are using a non-supported Python:FutureWarning")
class GoogleCloudStagingTests(StagingStorageTests, SimpleTestCase):
    @pytest.fixture(autouse=True)
    def _server(self, google_cloud, monkeypatch):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", google_cloud)

    def get_storage(self):
        from google.auth.credentials import AnonymousCredentials
        from storages.backends.gcloud import GoogleCloudStorage

        return GoogleCloudStorage(
            bucket_name="pictures",
            project_id="tests",
            credentials=AnonymousCredentials(),
            file_overwrite=False,
        )


@pytest.fixture(scope="module")
def session():
    """A session of boto3, which takes a second to make."""
    libraries.need("django-storages", "moto")
    import boto3

    return boto3.Session("nobody", "nothing", region_name="us-east-1")


@pytest.fixture(scope="module")
def google_cloud():
    """A server for Google Cloud Storage that keeps everything in memory; returns its address."""
    libraries.need("django-storages", "gcp-storage-emulator")
    from gcp_storage_emulator.server import create_server

    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="pictures")
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()
