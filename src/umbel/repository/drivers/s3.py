"""Bytes as objects of a bucket that speaks S3: whole or not there.

botocore signs, sends and tries again, on threads of this storage. What fits in one part is one
request; more is an upload in parts, which no reader sees before it is complete. An upload that
fails is aborted; one that a dead control plane left is listed, and removed by upkeep.
"""

import re
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import structlog

from umbel.kit.errors import Invalid
from umbel.repository.model import BlobMissing, RepositoryFull, StorageFailed, blob_name
from umbel.repository.pieces import pieces as regrouped
from umbel.repository.ports import PIECE_BYTES, Stored
from umbel.repository.threads import Threads

log = structlog.get_logger(__name__)

PART_BYTES = 8 << 20
_LARGE_PART = 8
"""Later parts are so many times larger: S3 has 10 000 at most."""
_MANY, _MOST_PARTS = 5_000, 10_000
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[\w.-]{1,100}(/[\w.-]{1,100}){0,8}", re.ASCII)
_MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchUpload"}
_FULL = {"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "507"}
_BEYOND = {"416", "InvalidArgument", "InvalidRange"}
_CONNECT_S, _READ_S, _TRIES = 5, 30, 3


class BadBucket(Invalid):
    """The setting names no bucket: write `https://HOST/BUCKET`, without a key in it."""

    code = "umbel.bad_bucket"


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A bucket at a server; objects' names begin with `prefix`."""

    endpoint: str
    name: str
    prefix: str = ""

    @classmethod
    def parse(cls, url: str) -> "Bucket":
        """Of a URL. Raises BadBucket."""
        try:
            parts = urlsplit(url)
            is_server = bool(
                parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
            )
        except ValueError:
            raise BadBucket(f"{url!r} is no address of a bucket") from None
        name, _, prefix = parts.path.strip("/").partition("/")
        is_plain = not (parts.username or parts.password or parts.query or parts.fragment)
        if not (is_server and is_plain and _BUCKET.fullmatch(name)):
            raise BadBucket(f"{parts.hostname or url!r} is no address of a bucket")
        if prefix and not _PREFIX.fullmatch(prefix):
            raise BadBucket(f"{prefix!r} cannot begin objects' names")
        endpoint = f"{parts.scheme}://{parts.netloc}"
        return cls(endpoint=endpoint, name=name, prefix=f"{prefix}/" if prefix else "")

    def inside(self, part: str) -> "Bucket":
        """The part of it whose objects' names begin with that word, too."""
        return replace(self, prefix=f"{self.prefix}{part}/")


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who asks."""

    key: str
    secret: str = field(repr=False)
    region: str


class S3Storage:
    """Keeps blobs as objects of the bucket, which must be there."""

    def __init__(self, bucket: Bucket, access: Access) -> None:
        self.bucket = bucket
        self._access = access
        self._threads = Threads(f"s3-{bucket.name}")
        self._lock = threading.Lock()
        self._made: Any = None

    async def write(self, blob: str, pieces: AsyncIterator[bytes]) -> int:
        key = self._key(blob)
        upload, size = _PartUpload(self._call, key), 0
        try:
            async with aclosing(regrouped(pieces, PART_BYTES)) as parts:
                async for part in parts:
                    size += len(part)
                    await upload.add(part)
            await upload.complete()
        except BaseException:
            await upload.abort()
            raise
        return size

    async def read(self, blob: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        if start >= end:
            return
        try:
            body = await self._opened(blob, start, end)
        except StorageFailed as error:
            # It ends before; some servers refuse what reaches beyond the end, too.
            if error.details.get("s3_code") not in _BEYOND:
                raise
            if start >= (size := await self.size(blob)):
                return
            body = await self._opened(blob, start, min(end, size))
        try:
            while piece := await self._threads.run(self._translated, body.read, PIECE_BYTES):
                yield piece
        finally:
            body.close()

    async def size(self, blob: str) -> int:
        found = await self._call("head_object", Key=self._key(blob))
        return int(found["ContentLength"])

    async def remove(self, blob: str) -> None:
        key = self._key(blob)
        await self._call("delete_object", Key=key)
        async for upload in self._uploads(key):
            if upload["Key"] == key:
                await _unless_gone(
                    self._call("abort_multipart_upload", Key=key, UploadId=upload["UploadId"])
                )

    async def list(self) -> AsyncGenerator[Stored, None]:
        prefix = self.bucket.prefix
        more: dict[str, Any] = {}
        while True:
            page = await self._call("list_objects_v2", Prefix=prefix, **more)
            for one in page.get("Contents", ()):
                blob, changed_s = one["Key"][len(prefix) :], one["LastModified"].timestamp()
                yield Stored(blob=blob, size=one["Size"], changed_s=changed_s)
            if not page.get("IsTruncated"):
                break
            more = {"ContinuationToken": page["NextContinuationToken"]}
        async for upload in self._uploads(prefix):
            blob, begun_s = upload["Key"][len(prefix) :], upload["Initiated"].timestamp()
            yield Stored(blob=blob, size=0, changed_s=begun_s, is_whole=False)

    async def close(self) -> None:
        self._threads.close()
        if self._made is not None:
            self._made.close()

    # -- inside -----------------------------------------------------------------------------

    async def _uploads(self, prefix: str) -> AsyncGenerator[dict[str, Any], None]:
        more: dict[str, Any] = {}
        while True:
            page = await self._call("list_multipart_uploads", Prefix=prefix, **more)
            for one in page.get("Uploads", ()):
                yield one
            if not page.get("IsTruncated"):
                return
            more = {
                "KeyMarker": page["NextKeyMarker"],
                "UploadIdMarker": page.get("NextUploadIdMarker", ""),
            }

    async def _opened(self, blob: str, start: int, end: int) -> Any:
        """The body of a range."""
        key, range_ = self._key(blob), f"bytes={start}-{end - 1}"
        found = await self._threads.open(
            lambda: self._translated(self._request, "get_object", Key=key, Range=range_),
            lambda answer: answer["Body"].close(),
        )
        return found["Body"]

    async def _call(self, operation: str, **values: Any) -> Any:
        return await self._threads.run(self._translated, self._request, operation, **values)

    def _request(self, operation: str, **values: Any) -> Any:
        """On a thread."""
        return getattr(self._client(), operation)(Bucket=self.bucket.name, **values)

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = _client(self.bucket.endpoint, self._access)
            return self._made

    def _translated(self, call: Callable[..., Any], *args: Any, **values: Any) -> Any:
        """On a thread: what the call returns, and its failures as ours."""
        try:
            from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
        except ImportError as error:
            message = "botocore is not installed, which buckets need: install `umbel[s3]`"
            raise StorageFailed(message) from error
        try:
            return call(*args, **values)
        except ClientError as error:
            raise self._error(error.response) from error
        except (BotoCoreError, OSError) as error:
            message = f"{self.bucket.endpoint} does not answer: {type(error).__name__}"
            raise StorageFailed(message) from error

    def _error(self, response: dict[str, Any]) -> Exception:
        code = str(response.get("Error", {}).get("Code", ""))
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _MISSING:
            return BlobMissing("There is no such object")
        where = f"The bucket {self.bucket.name} at {self.bucket.endpoint}"
        if code in _FULL or status == 507:
            return RepositoryFull(f"{where} is full: nothing was kept; raise its quota")
        return StorageFailed(f"{where} refuses: {code or status}", s3_code=code or str(status))

    def _key(self, blob: str) -> str:
        return self.bucket.prefix + blob_name(blob)


class _PartUpload:
    """One object on its way: it is begun as an upload in parts once there is a second part."""

    def __init__(self, call: Callable[..., Any], key: str) -> None:
        self._call, self._key = call, key
        self._id = ""
        self._held: list[bytes] = []
        self._sent: list[dict[str, Any]] = []

    async def add(self, part: bytes) -> None:
        """The next bytes; all calls but the last have PART_BYTES."""
        held = 1 if len(self._sent) < _MANY else _LARGE_PART
        if len(self._held) >= held:
            await self._send()
        self._held.append(part)

    async def complete(self) -> None:
        """All bytes were added: the object is there."""
        if not self._id:
            await self._call("put_object", Key=self._key, Body=b"".join(self._held))
            return
        await self._send()
        parts = {"Parts": self._sent}
        await self._call(
            "complete_multipart_upload", Key=self._key, UploadId=self._id, MultipartUpload=parts
        )

    async def abort(self) -> None:
        """Nothing of it is there."""
        try:
            if self._id:
                await _unless_gone(
                    self._call("abort_multipart_upload", Key=self._key, UploadId=self._id)
                )
        except (StorageFailed, RepositoryFull) as error:
            log.warning("upload not aborted", key=self._key, reason=error.message)

    async def _send(self) -> None:
        if not self._id:
            begun = await self._call("create_multipart_upload", Key=self._key)
            self._id = begun["UploadId"]
        if len(self._sent) >= _MOST_PARTS:
            raise StorageFailed(f"An object has {_MOST_PARTS} parts at most")
        body, number = b"".join(self._held), len(self._sent) + 1
        self._held = []
        sent = await self._call(
            "upload_part", Key=self._key, UploadId=self._id, PartNumber=number, Body=body
        )
        self._sent.append({"PartNumber": number, "ETag": sent["ETag"]})


async def _unless_gone(removing: Any) -> None:
    try:
        await removing
    except BlobMissing:
        pass


def _client(endpoint: str, access: Access) -> Any:
    # botocore loads slowly, and most installations have no bucket.
    import botocore.session  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        connect_timeout=_CONNECT_S,
        read_timeout=_READ_S,
        retries={"total_max_attempts": _TRIES, "mode": "standard"},
        max_pool_connections=32,
        s3={"addressing_style": "path"},
        # Servers other than Amazon's do not know the newer checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    session = botocore.session.Session()
    return session.create_client(
        "s3",
        region_name=access.region,
        endpoint_url=endpoint,
        aws_access_key_id=access.key,
        aws_secret_access_key=access.secret,
        config=config,
    )
