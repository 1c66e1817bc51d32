"""How a call ended when it did not end well, before it becomes an exception of gRPC."""

from collections.abc import Iterable
from typing import NamedTuple

import grpc
from google.protobuf import any_pb2

from tradebook.v1 import rpc_pb2

DETAILS_KEY = "grpc-status-details-bin"
BAD_REQUEST = "google.rpc.BadRequest"

CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


class Metadatum(NamedTuple):
    key: str
    value: str | bytes


class StatusError(Exception):
    """A status other than OK."""

    def __init__(self, code: grpc.StatusCode, message: str, details: Iterable[any_pb2.Any] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = list(details)

    def trailing_metadata(self) -> tuple["Metadatum", ...]:
        """As gRPC carries details: a google.rpc.Status, which Status has the wire format of."""
        if not self.details:
            return ()
        status = rpc_pb2.Status(
            code=rpc_pb2.Code.ValueType(self.code.value[0]), message=self.message, details=self.details
        )
        return (Metadatum(DETAILS_KEY, status.SerializeToString()),)

    def __str__(self) -> str:
        """The code, the message, and a line for each violation."""
        lines = [f"{self.code.name}: {self.message}"]
        for detail in self.details:
            if detail.TypeName() == BAD_REQUEST:
                bad_request = rpc_pb2.BadRequest.FromString(detail.value)
                lines += [
                    f"  {violation.field}: {violation.description}" for violation in bad_request.field_violations
                ]
        return "\n".join(lines)


def from_reply(reply: rpc_pb2.Reply) -> StatusError:
    return StatusError(CODES.get(reply.code, grpc.StatusCode.UNKNOWN), reply.message, reply.details)
