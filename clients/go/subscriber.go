package tradebook

import (
	"bytes"
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tradebook/tradebook/clients/go/tradebookv1"
)

const (
	pageEvents       = 500
	listWaitMax      = 5 * time.Second
	listPauseFirst   = 50 * time.Millisecond
	listPauseMax     = time.Second
	heartbeatUnknown = time.Second // until one tells
	heartbeatMax     = time.Minute
	silentHeartbeats = 3 // so many that did not come: the doorbell is dead
)

// subscriber puts events into order. Two sources bring them: the doorbell, which may
// lose, and pages of ListEvents, which do not. An event is handed out when it follows
// the position, whichever source it is from; one at or before the position was handed
// out already; one that is ahead shows a gap, which a page fills.
type subscriber struct {
	events   tradebookv1.EventServiceClient
	options  []grpc.CallOption
	timeout  time.Duration // of one call
	doorbell *doorbell     // nil: there is no events address
	symbol   *string       // nil: all
	cursor   *cursor       // nil: none

	position  int64 // everything up to it was handed out, or is of another symbol
	isBehind  bool  // events may be missing that the doorbell will not bring
	heartbeat time.Duration
	page      *tradebookv1.ListEventsResponse
	pageAfter int64         // after_sequence of the page
	pageNext  int           // its next event
	frame     []byte        // from the doorbell, not looked at yet; nil: none
	wake      chan struct{} // rings when look would find something
}

// next returns the next event and waits for it. Its error ends the stream.
func (s *subscriber) next(ctx context.Context) (*tradebookv1.Event, error) {
	if s.cursor != nil {
		s.cursor.note(s.position)
	}
	for {
		if err := s.look(ctx); err != nil {
			return nil, err
		}
		event, err := s.nextOfPage()
		if event == nil && err == nil {
			event = s.nextOfDoorbell()
		}
		if err != nil {
			return nil, err
		}
		if event != nil {
			s.position = event.GetSequence()
			return event, nil
		}
		if err := s.waitForMore(ctx); err != nil {
			return nil, err
		}
	}
}

// look takes notice of what happened beside the events.
func (s *subscriber) look(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if s.doorbell != nil && s.doorbell.isNew.Swap(false) {
		s.isBehind = true
	}
	if s.cursor == nil {
		return nil
	}
	err := s.cursor.takeFailure()
	if status.Code(err) == codes.OutOfRange {
		// The newest event is before the cursor's new place; a page tells why.
		s.isBehind = true
		return nil
	}
	return err
}

func (s *subscriber) isStale(event *tradebookv1.Event) bool {
	return event.GetSequence() <= s.position
}

// follows says whether nothing is between the position and this event.
func (s *subscriber) follows(event *tradebookv1.Event) bool {
	if s.symbol != nil {
		return event.GetPreviousSequence() <= s.position
	}
	return event.GetSequence() == s.position+1
}

// nextOfPage returns nil when there is none.
func (s *subscriber) nextOfPage() (*tradebookv1.Event, error) {
	for s.page != nil {
		events := s.page.GetEvents()
		if s.pageNext == len(events) {
			s.finishPage()
			break
		}
		event := events[s.pageNext]
		s.pageNext++
		if s.isStale(event) {
			continue
		}
		if !s.follows(event) {
			return nil, status.Errorf(codes.DataLoss,
				"after event %d the server answered event %d: one between is missing from its database; "+
					"run tradebook doctor on it", s.position, event.GetSequence())
		}
		return event, nil
	}
	return nil, nil
}

// finishPage draws the conclusions when all of the page was handed out.
func (s *subscriber) finishPage() {
	after := s.page.GetNextAfterSequence()
	if s.symbol != nil && after > s.position {
		s.position = after
	}
	// A page that leads nowhere is not asked for again at once.
	if after > s.pageAfter && s.page.GetNewestSequence() > s.position {
		s.isBehind = true
	}
	s.page = nil
}

// nextOfDoorbell returns nil when there is none.
func (s *subscriber) nextOfDoorbell() *tradebookv1.Event {
	for !s.isBehind {
		if s.frame == nil && !s.takeFrame() {
			return nil
		}
		event := s.hear(s.frame)
		s.frame = nil
		if event != nil {
			return event
		}
	}
	return nil
}

func (s *subscriber) takeFrame() bool {
	if s.doorbell == nil {
		return false
	}
	select {
	case s.frame = <-s.doorbell.frames:
		return true
	default:
		return false
	}
}

// hear returns the event of a frame when it is the next one.
func (s *subscriber) hear(frame []byte) *tradebookv1.Event {
	topic, data, _ := bytes.Cut(frame, []byte{0})
	if string(topic) == heartbeatTopic {
		s.hearHeartbeat(data)
		return nil
	}
	event := &tradebookv1.Event{}
	if proto.Unmarshal(data, event) != nil || s.isStale(event) {
		return nil
	}
	if !s.follows(event) {
		s.isBehind = true
		return nil
	}
	return event
}

func (s *subscriber) hearHeartbeat(data []byte) {
	heartbeat := &tradebookv1.Heartbeat{}
	if proto.Unmarshal(data, heartbeat) != nil {
		return
	}
	if interval := time.Duration(heartbeat.GetIntervalMs()) * time.Millisecond; interval > 0 && interval <= heartbeatMax {
		s.heartbeat = interval
	}
	// Larger: an event was lost. Smaller: this heartbeat is late, or the database an
	// older one. The page tells.
	if heartbeat.GetNewestSequence() != s.position {
		s.isBehind = true
	}
}

// waitForMore returns when there may be more: a page has come, or the doorbell rang.
func (s *subscriber) waitForMore(ctx context.Context) error {
	if s.isBehind {
		return s.list(ctx, 0)
	}
	if s.cursor != nil {
		s.cursor.note(s.position)
		s.cursor.flush()
	}
	until := s.aliveUntil()
	if !time.Now().Before(until) {
		return s.list(ctx, min(s.timeout/4, listWaitMax))
	}
	alive := time.NewTimer(time.Until(until))
	defer alive.Stop()
	select {
	case s.frame = <-s.doorbell.frames:
	case <-s.wake:
	case <-alive.C:
	case <-ctx.Done():
	}
	return nil
}

// aliveUntil is when the doorbell counts as dead; long ago when there is none.
func (s *subscriber) aliveUntil() time.Time {
	if s.doorbell == nil {
		return time.Time{}
	}
	return s.doorbell.aliveUntil(silentHeartbeats * s.heartbeat)
}

// list asks for the page after the position. When there is nothing yet, the server
// waits so long for the next event.
func (s *subscriber) list(ctx context.Context, wait time.Duration) error {
	s.isBehind = false
	started := time.Now()
	request := &tradebookv1.ListEventsRequest{
		AfterSequence: proto.Int64(s.position),
		Symbol:        s.symbol,
		PageSize:      proto.Int32(pageEvents),
		WaitMs:        proto.Int64(wait.Milliseconds()),
	}
	page, err := persist(ctx, s, s.events.ListEvents, request)
	if err != nil {
		return err
	}
	if page.GetNewestSequence() < s.position {
		return status.Errorf(codes.DataLoss, "the newest event of the server is %d, before %d where this stream is: "+
			"its database was restored to an older state or is another one; check the server, then subscribe at the "+
			"place where to go on", page.GetNewestSequence(), s.position)
	}
	s.page, s.pageAfter, s.pageNext = page, s.position, 0
	if len(page.GetEvents()) == 0 && wait > 0 && time.Since(started) < listPauseFirst {
		// A server that is about to stop answers at once.
		sleep(ctx, listPauseFirst)
	}
	return nil
}

// persist calls a method until it is answered: a server that is away or busy ends no
// stream.
func persist[Request, Response any](ctx context.Context, s *subscriber,
	method func(context.Context, *Request, ...grpc.CallOption) (*Response, error), request *Request) (*Response, error) {
	pause := backoff{first: listPauseFirst, max: listPauseMax}
	for {
		callCtx, cancel := context.WithTimeout(ctx, s.timeout)
		response, err := method(callCtx, request, s.options...)
		cancel()
		if !isPassing(err) {
			return response, err
		}
		if !sleep(ctx, pause.next()) {
			return nil, ctx.Err()
		}
	}
}

// isPassing says whether a later call may well succeed.
func isPassing(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted:
		return true
	default:
		return false
	}
}
