"""Error 11000 has one name and one reader."""

import pytest
from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError, OperationFailure, PyMongoError

from libs.runtime.mongo_errors import AlreadyThere, error_codes, ids_may_be_there

DUPLICATE = {"index": 2, "code": 11000, "keyValue": {"_id": "a"}}
OTHER = {"index": 3, "code": 14}


def bulk(*faults: dict, unacknowledged: bool = False) -> BulkWriteError:
    return BulkWriteError({"writeErrors": list(faults), "writeConcernErrors": [{"code": 64}] if unacknowledged else []})


@pytest.mark.parametrize(
    ("error", "place"),
    [
        (DuplicateKeyError("there", 11000, {"keyValue": {"_id": "a"}}), 0),
        (DuplicateKeyError("there", 11001, {"keyValue": {"_id": "a"}}), 0),
        (OperationFailure("there", 11000, {"keyValue": {"_id": "a"}}), 0),
        (bulk(DUPLICATE), 2),
        (bulk(DUPLICATE, {**DUPLICATE, "index": 5}), 2),
    ],
)
def test_whatever_way_the_driver_tells_it_the_document_was_there(error: PyMongoError, place: int):
    with pytest.raises(AlreadyThere) as there, ids_may_be_there():
        raise error
    assert (there.value.violations[0]["index"], there.value.violations[0]["keyValue"]) == (place, {"_id": "a"})


@pytest.mark.parametrize(
    "error",
    [
        OperationFailure("conflict", 112),
        bulk(DUPLICATE, OTHER),
        bulk(DUPLICATE, unacknowledged=True),
        bulk(),
        AutoReconnect("gone"),
        BulkWriteError({}),
    ],
)
def test_anything_else_goes_on_as_it_is(error: PyMongoError):
    with pytest.raises(type(error)) as raised, ids_may_be_there():
        raise error
    assert raised.value is error


def test_the_codes_of_an_error_tell_all_that_went_wrong():
    assert error_codes(bulk(DUPLICATE, OTHER)) == {11000, 14}
    assert error_codes(bulk(DUPLICATE, unacknowledged=True)) == {11000, None}
    assert error_codes(AutoReconnect("gone")) == {None}
