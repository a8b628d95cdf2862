"""Images that are uploaded to a control plane: their pieces, their hashes, and their room."""

import hashlib
from pathlib import Path

import pytest

from umbel.compute.images.folder import Images
from umbel.compute.images.model import (
    PARTS,
    Image,
    ImageCorrupt,
    NoSuchImage,
    NoSuchUpload,
    TooManyImages,
    UploadOutOfOrder,
)
from umbel.compute.images.uploads import MOST_UPLOADS, STALE_S, Upload, Uploads

MIB = 2**20
BYTES = {"kernel": b"k" * 10, "initrd": b"i" * 20, "disk": b"d" * MIB}


def upload(
    name: str = "own", contents: dict[str, bytes] | None = None, at_s: float = 0.0
) -> Upload:
    given = contents or BYTES
    hashes = {part: hashlib.sha256(given[part]).hexdigest() for part in PARTS}
    image = Image(name=name, command=(), hashes=hashes)
    return Upload(image=image, sizes={p: len(b) for p, b in given.items()}, begun_s=at_s)


def send(uploads: Uploads, to: Upload, contents: dict[str, bytes]) -> None:
    for part, data in contents.items():
        uploads.receive(to.image.id, part, 0, data[:7])
        uploads.receive(to.image.id, part, 7, data[7:])


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(tmp_path / "images")


def left(images: Images) -> list[str]:
    return sorted(path.name for path in images.folder.iterdir())


def test_an_image_is_kept_once_all_its_bytes_are_right(images: Images) -> None:
    one = upload()
    uploads = Uploads(images, 10)
    assert uploads.begin(one) == dict.fromkeys(PARTS, 0)
    with pytest.raises(NoSuchImage):
        images.get("own")
    send(uploads, one, BYTES)
    assert Uploads(images, 10).begin(one) == one.sizes  # as after a restart
    assert uploads.complete(one.image.id) == one.image
    assert images.get("own") == one.image
    assert {part: images.part(one.image, part).read_bytes() for part in PARTS} == BYTES
    assert left(images) == ["own", one.image.id]
    uploads.begin(one)
    send(uploads, one, BYTES)
    assert uploads.complete(one.image.id) == one.image  # a second time
    assert left(images) == ["own", one.image.id]
    (status,) = images.statuses()
    assert (status.image, status.is_newest) == (one.image, True)
    images.remove(one.image)
    assert left(images) == []


def test_wrong_bytes_are_no_image(images: Images) -> None:
    one, uploads = upload(), Uploads(images, 10)
    uploads.begin(one)
    send(uploads, one, {**BYTES, "disk": b"x" + BYTES["disk"][1:]})
    with pytest.raises(ImageCorrupt, match="disk"):
        uploads.complete(one.image.id)
    assert left(images) == []
    with pytest.raises(NoSuchUpload):
        uploads.received(one.image.id)


def test_pieces_come_in_order(images: Images) -> None:
    one, uploads = upload(), Uploads(images, 10)
    with pytest.raises(NoSuchUpload):
        uploads.receive(one.image.id, "kernel", 0, b"k")
    uploads.begin(one)
    for offset, data in ((1, b"k"), (0, b"k" * 11)):
        with pytest.raises(UploadOutOfOrder, match="0 of 10 bytes"):
            uploads.receive(one.image.id, "kernel", offset, data)
    assert uploads.receive(one.image.id, "kernel", 0, b"k") == 1
    with pytest.raises(UploadOutOfOrder, match="1 of 10 bytes"):
        uploads.complete(one.image.id)


def test_uploads_take_no_more_room_than_they_may(images: Images) -> None:
    uploads = Uploads(images, 10)
    for number in range(MOST_UPLOADS):
        uploads.begin(upload(f"own{number}"))
    with pytest.raises(TooManyImages, match="being uploaded"):
        uploads.begin(upload("more"))
    later = upload("more", at_s=STALE_S + 1)
    uploads.begin(later)
    assert left(images) == [f".upload-{later.image.id}"]
    with pytest.raises(TooManyImages, match="of 10 MiB"):
        uploads.begin(upload("large", {**BYTES, "disk": bytes(10 * MIB)}, STALE_S + 2))


def test_what_is_newest_follows_a_removal(images: Images) -> None:
    uploads = Uploads(images, 10)
    both = [upload(), upload(contents={**BYTES, "kernel": b"K" * 10})]
    for one in both:
        uploads.begin(one)
        send(uploads, one, BYTES if one is both[0] else {**BYTES, "kernel": b"K" * 10})
        uploads.complete(one.image.id)
    assert images.get("own") == both[1].image
    images.remove(both[0].image)
    assert images.get("own") == both[1].image
    images.remove(both[1].image)
    with pytest.raises(NoSuchImage):
        images.get("own")
