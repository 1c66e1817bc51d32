package tradebook

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"
)

const requestIDKey = "x-request-id-bin"

// NewRequestID makes an identity for a call: 16 bytes that grow with time (UUID
// version 7).
func NewRequestID() []byte {
	id := uuid.Must(uuid.NewV7())
	return id[:]
}

// WithRequestID gives the call made with this context an identity of 16 bytes instead
// of a new one. The server executes an identity once and answers all calls that have
// it, of this process or the next, with the first answer, for at least 24 hours. It is
// the same as outgoing metadata of the key x-request-id-bin.
func WithRequestID(ctx context.Context, id []byte) context.Context {
	return metadata.AppendToOutgoingContext(ctx, requestIDKey, string(id))
}

// takeRequestID takes the identity that the caller gave out of the metadata, and else
// makes one for a method that may write.
func takeRequestID(md metadata.MD, method string) []byte {
	if given := md.Get(requestIDKey); len(given) > 0 {
		md.Delete(requestIDKey)
		return []byte(given[len(given)-1])
	}
	if isReadOnly(method) {
		return nil
	}
	return NewRequestID()
}

// withoutRequestID is for the calls that a stream makes, which are not one call.
func withoutRequestID(ctx context.Context) context.Context {
	md, ok := metadata.FromOutgoingContext(ctx)
	if !ok || len(md.Get(requestIDKey)) == 0 {
		return ctx
	}
	md.Delete(requestIDKey)
	return metadata.NewOutgoingContext(ctx, md)
}
