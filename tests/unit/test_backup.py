"""The files of a backup, and where groups go on after a restore."""

import io
from pathlib import Path

import pytest
from bson import encode
from hypothesis import given
from hypothesis import strategies as st

from libs.backup import BackupError
from libs.backup.cipher import FRAME_BYTES, FrameWriter, decrypted
from libs.backup.collection_file import CollectionWriter, read_documents
from libs.backup.key import read_key
from libs.backup.manifest import GroupPosition, Position
from libs.backup.restore import groups_set_back
from libs.contracts import ChargesPreviewed

KEY, OTHER_KEY = bytes(range(32)), bytes(32)


def sealed(*parts: bytes, name: str = "usage") -> bytes:
    out = io.BytesIO()
    writer = FrameWriter(KEY, name, out.write)
    for part in parts:
        writer.write(part)
    writer.finish()
    return out.getvalue()


@pytest.mark.parametrize("size", [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 3 * FRAME_BYTES])
def test_what_was_encrypted_is_decrypted(size: int):
    body = bytes(number % 251 for number in range(1000)) * (size // 1000 + 1)
    body = body[:size]
    assert b"".join(decrypted(KEY, "usage", io.BytesIO(sealed(body[:7], body[7:])))) == body


@pytest.mark.parametrize(
    ("key", "name", "change"),
    [
        (OTHER_KEY, "usage", lambda body: body),
        (KEY, "charges", lambda body: body),
        (KEY, "usage", lambda body: body[:-1]),
        (KEY, "usage", lambda body: body[: len(body) - 16 - 4 - 100]),
        (KEY, "usage", lambda body: body[:60] + bytes([body[60] ^ 1]) + body[61:]),
        (KEY, "usage", lambda body: b"x" + body[1:]),
    ],
    ids=["another key", "another file", "cut within a frame", "cut at a frame", "changed", "not encrypted"],
)
def test_what_was_changed_does_not_decrypt(key: bytes, name: str, change):
    body = sealed(b"x" * FRAME_BYTES, b"y" * 100)
    with pytest.raises(BackupError):
        b"".join(decrypted(key, name, io.BytesIO(change(body))))


@given(st.lists(st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), st.integers(0, 9)), max_size=20))
def test_documents_are_read_as_they_were_written(tmp_path_factory, documents: list[dict[str, int]]):
    path = tmp_path_factory.mktemp("copy") / "usage.bson.gz"
    written = [encode(document) for document in documents]
    for key in (None, KEY):
        writer = CollectionWriter(path, "usage", key)
        writer.write(b"".join(written[:5]))
        writer.write(b"".join(written[5:]))
        writer.finish()
        assert writer.document_count == len(documents)
        assert list(read_documents(path, "usage", key)) == written


@pytest.mark.parametrize("text", ["", "c2hvcnQ=", "not base64!", "AAAA" * 12])
def test_a_key_of_another_length_is_refused(tmp_path: Path, text: str):
    (tmp_path / "key").write_text(text)
    with pytest.raises(BackupError, match="key"):
        read_key(tmp_path / "key")


@pytest.mark.parametrize(
    ("saved", "start", "end", "goes_on", "lost"),
    [
        (5, 0, 9, 5, ""),
        (5, 5, 5, 5, ""),
        (5, 7, 9, 5, "2 messages of bill.issued.v1, partition 0, that ledger.post_bills was to read again: deleted by Kafka"),
        (5, 0, 3, 0, "Kafka is another one"),
        (None, 2, 9, 2, ""),
    ],
)
def test_groups_go_on_where_they_stood(saved: int | None, start: int, end: int, goes_on: int, lost: str):
    def group(offset: int) -> GroupPosition:
        return GroupPosition(group="ledger.post_bills", committed=(Position(topic="bill.issued.v1", partition=0, offset=offset),))

    at = ("bill.issued.v1", 0)
    (position,), told = groups_set_back([] if saved is None else [group(saved)], [group(9)], {at: start}, {at: end})
    assert position == group(goes_on)
    assert lost in "".join(told)
    assert bool(lost) == bool(told)


def test_nobody_misses_previews_that_were_deleted_since_the_backup():
    at = (ChargesPreviewed.topic, 0)

    def group(offset: int) -> GroupPosition:
        return GroupPosition(group="invoicing.preview_bills", committed=(Position(topic=at[0], partition=0, offset=offset),))

    assert groups_set_back([group(5)], [group(9)], {at: 7}, {at: 9}) == ([group(7)], [])
