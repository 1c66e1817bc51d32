package conformance

import (
	"context"
	"fmt"
	"time"

	tradebook "github.com/tradebook/tradebook/clients/go"
	pb "github.com/tradebook/tradebook/clients/go/tradebookv1"
)

const eventsTimeout = 60 * time.Second

// reading is a stream that is read in the background, without pause.
type reading struct {
	cancel context.CancelFunc
	came   chan struct{} // closed when the awaited number of events has come
	ended  chan struct{} // closed when the stream has ended
	// To be read when it has ended:
	events []*pb.Event
	err    error
}

func startReading(conn *tradebook.Conn, s *step) (*reading, error) {
	request, err := message("tradebook.v1.SubscribeRequest", s.Subscribe)
	if err != nil {
		return nil, err
	}
	r := &reading{came: make(chan struct{}), ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	if s.TimeoutMs > 0 {
		ctx, r.cancel = context.WithTimeout(ctx, time.Duration(s.TimeoutMs)*time.Millisecond)
	}
	go func() {
		defer cancel()
		defer close(r.ended)
		r.err = r.read(ctx, conn, request.(*pb.SubscribeRequest), s.Count)
	}()
	return r, nil
}

func (r *reading) read(ctx context.Context, conn *tradebook.Conn, request *pb.SubscribeRequest, count int) error {
	stream, err := pb.NewEventServiceClient(conn).Subscribe(ctx, request)
	if err != nil {
		return err
	}
	for {
		if len(r.events) == count {
			close(r.came)
		}
		event, err := stream.Recv()
		if err != nil {
			return err
		}
		r.events = append(r.events, event)
	}
}

// awaitEvents returns when the awaited number of events has come.
func (r *reading) awaitEvents() error {
	select {
	case <-r.came:
		return nil
	case <-r.ended:
		return fmt.Errorf("the stream ended after %d events: %w", len(r.events), r.err)
	case <-time.After(eventsTimeout):
		r.cancel()
		<-r.ended
		return fmt.Errorf("after %v there were %d events only", eventsTimeout, len(r.events))
	}
}

// end ends the stream, or with a code to come waits for it, and compares what it gave.
func (r *reading) end(s *step) error {
	if s.Expect.Code == "" {
		r.cancel()
	}
	select {
	case <-r.ended:
	case <-time.After(eventsTimeout):
		r.cancel()
		return fmt.Errorf("the stream did not end within %v", eventsTimeout)
	}
	if s.Expect.Code != "" {
		if err := s.Expect.checkCode(r.err); err != nil {
			return err
		}
	} else if codeOf(r.err) != "CANCELLED" {
		return fmt.Errorf("the cancelled stream ended with %v", r.err)
	}
	return r.compare(s)
}

func (r *reading) compare(s *step) error {
	if len(r.events) != s.Count {
		return fmt.Errorf("there were %d events, not %d", len(r.events), s.Count)
	}
	list := []any{}
	for i, event := range r.events {
		want := event.GetSequence()
		if s.Expect.First != nil {
			want = *s.Expect.First + int64(i)
		} else if s.Expect.Sequences != nil {
			want = s.Expect.Sequences[i]
		}
		if event.GetSequence() != want {
			return fmt.Errorf("event %d of the stream has the sequence %d, not %d", i, event.GetSequence(), want)
		}
		value, err := toJSON(event)
		if err != nil {
			return err
		}
		list = append(list, value)
	}
	if s.Expect.Events != nil {
		return compare("events", s.Expect.Events, list)
	}
	return nil
}
