"""Documents of bills on real Kafka and MongoDB: rendered when first asked for, once, readable by any GridFS reader."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import typst
from gridfs import AsyncGridFSBucket

from libs.contracts import BillDocumentRendered, BillDocumentRequested, BillIssued, Fact
from libs.runtime import RuntimeSettings, Service
from libs.runtime.lag import LagReader, lag_reader
from services.invoicing.documents import CHUNK_BYTES, DocumentStore
from services.invoicing.fonts import OWN_FONTS
from services.invoicing.rendering import RenderedBill
from tests.closings import CLOSED_AT, closed
from tests.command_line import run_tarifa
from tests.outcomes import account
from tests.world import WAIT_S, build_service, read_facts

BILL_ID = "ada.2026-03-01.onCycle"


@pytest.fixture
async def service(settings: RuntimeSettings) -> AsyncIterator[Service]:
    built = build_service("invoicing", settings, account_wait_s=0.3)
    async with built.running():
        yield built


@pytest.fixture
async def lag(settings: RuntimeSettings) -> AsyncIterator[LagReader]:
    async with lag_reader(settings) as reader:
        yield reader


async def tell(service: Service, lag: LagReader, *facts: Fact) -> None:
    await service.publish(facts)
    await lag.settled(WAIT_S)


async def issue(service: Service, lag: LagReader) -> BillIssued:
    await tell(service, lag, account("ada"))
    await tell(service, lag, closed("ada", "1.00", "2.00"))
    (bill,) = await read_facts(service.settings, BillIssued)
    return bill


def requested(request_id: str, bill_id: str = BILL_ID, account_id: str = "ada", is_anew: bool = False) -> BillDocumentRequested:
    return BillDocumentRequested(id=request_id, bill_id=bill_id, account_id=account_id, requested_at=CLOSED_AT, is_anew=is_anew)


async def test_a_document_is_rendered_when_asked_for_and_read_from_gridfs(service: Service, lag: LagReader):
    bill = await issue(service, lag)
    assert await service.database["documents.files"].count_documents({}) == 0
    await tell(service, lag, requested("r1"))
    (rendered,) = await read_facts(service.settings, BillDocumentRendered)
    assert (rendered.id, rendered.request_id, rendered.bill_id, rendered.document_id) == ("r1", "r1", bill.id, bill.documents[0].id)
    stream = await AsyncGridFSBucket(service.database, "documents").open_download_stream(rendered.document_id)
    body = await stream.read()
    assert len(body) == rendered.size_bytes == stream.length
    assert body.startswith(b"%PDF-")
    assert (stream.filename, stream.metadata) == (f"{BILL_ID}.pdf", {"contentType": "application/pdf"})


async def test_a_document_is_rendered_once(service: Service, lag: LagReader):
    await issue(service, lag)
    await tell(service, lag, requested("r1"), requested("r1"), requested("r2"))
    uploaded = await service.database["documents.files"].find_one({})
    await tell(service, lag, requested("r1"))
    answers = await read_facts(service.settings, BillDocumentRendered)
    assert {answer.request_id for answer in answers} == {"r1", "r2"}
    assert len({(answer.document_id, answer.size_bytes) for answer in answers}) == 1
    assert await service.database["documents.files"].find({}).to_list() == [uploaded]


async def test_a_document_of_no_bill_or_of_somebody_elses_is_parked(service: Service, lag: LagReader):
    await issue(service, lag)
    await tell(service, lag, requested("r1", bill_id="404ID"), requested("r2", account_id="bob"), requested("r3"))
    parked = [message["reason"] async for message in service.database["parked"].find()]
    assert sorted(parked) == ["there is no bill 404ID on account ada", f"there is no bill {BILL_ID} on account bob"]
    assert [answer.request_id for answer in await read_facts(service.settings, BillDocumentRendered)] == ["r3"]


async def test_two_writers_of_a_large_document_leave_one_whole_document(service: Service, lag: LagReader):
    bill = await issue(service, lag)
    body = bytes(range(256)) * (3 * CHUNK_BYTES // 256)
    stores = [DocumentStore(service.client, service.database) for _ in range(4)]
    sizes = await asyncio.gather(*(store.add(bill.documents[0], RenderedBill(body), bill.id, CLOSED_AT) for store in stores))
    assert set(sizes) == {len(body)}
    stream = await AsyncGridFSBucket(service.database, "documents").open_download_stream(bill.documents[0].id)
    assert await stream.read() == body
    assert await service.database["documents.chunks"].count_documents({}) == 3


async def test_a_document_with_empty_boxes_is_told_and_rendered_again_once_a_font_is_there(
    service: Service, lag: LagReader, monkeypatch: pytest.MonkeyPatch
):
    own_only = typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=[OWN_FONTS])
    monkeypatch.setattr("services.invoicing.rendering.all_fonts", lambda: own_only)
    await tell(service, lag, account("ada", name="円の会社"))
    await tell(service, lag, closed("ada", "1.00"))
    await tell(service, lag, requested("r1"))
    told = await DocumentStore(service.client, service.database).warnings()
    assert "1 have empty boxes for texts that no font has, such as 円 会 社" in told["documents"]
    boxes = await service.database["documents.files"].find_one({})
    monkeypatch.undo()
    await tell(service, lag, requested("r2"))
    assert await service.database["documents.files"].find_one({}) == boxes
    rendered = await run_tarifa(service.settings, "documents", "render", "--all")
    assert "1 rendered again, 0 of them still have empty boxes" in rendered.err
    assert await DocumentStore(service.client, service.database).warnings() == {}
    whole = await service.database["documents.files"].find_one({})
    assert whole != boxes
    await tell(service, lag, requested("r3", is_anew=True))
    assert await service.database["documents.files"].find_one({}) == whole
