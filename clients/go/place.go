package tradebook

import (
	"context"
	"math"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tradebook/tradebook/clients/go/tradebookv1"
)

func checkSubscribe(request *tradebookv1.SubscribeRequest) error {
	if request.AfterSequence != nil && request.GetAfterSequence() < 0 {
		return status.Errorf(codes.InvalidArgument, "after_sequence: must not be negative, is %d", request.GetAfterSequence())
	}
	if request.AfterSequence != nil && request.GetFromOldest() {
		return status.Error(codes.InvalidArgument, "from_oldest: must not be given together with after_sequence")
	}
	return nil
}

// findPlace sets the position where the stream starts. A new cursor is stored at
// once, so that a restart before it is first moved misses nothing.
func (s *subscriber) findPlace(ctx context.Context, request *tradebookv1.SubscribeRequest) error {
	if s.cursor == nil {
		return s.findStart(ctx, request)
	}
	found, err := persist(ctx, s, s.events.GetCursor, &tradebookv1.GetCursorRequest{Name: request.Cursor})
	if status.Code(err) == codes.NotFound {
		if err := s.findStart(ctx, request); err != nil {
			return err
		}
		found, err = persist(ctx, s, s.events.CommitCursor,
			&tradebookv1.CommitCursorRequest{Name: request.Cursor, Sequence: proto.Int64(s.position)})
	}
	s.position = found.GetSequence()
	s.cursor.startAt(s.position)
	return err
}

func (s *subscriber) findStart(ctx context.Context, request *tradebookv1.SubscribeRequest) error {
	if request.AfterSequence != nil {
		s.position = request.GetAfterSequence()
		return nil
	}
	// Nothing is after it, but the answer names the oldest and the newest event.
	end, err := persist(ctx, s, s.events.ListEvents,
		&tradebookv1.ListEventsRequest{AfterSequence: proto.Int64(math.MaxInt64), PageSize: proto.Int32(1)})
	if err != nil {
		return err
	}
	s.position = end.GetNewestSequence()
	if request.GetFromOldest() && end.OldestSequence != nil {
		s.position = end.GetOldestSequence() - 1
	}
	return nil
}
