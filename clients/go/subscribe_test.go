package tradebook_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	tradebook "github.com/tradebook/tradebook/clients/go"
	pb "github.com/tradebook/tradebook/clients/go/tradebookv1"
)

const topic = "trade.closed/BTC-USD/"

// book is a fake server of events 1 to newest that counts what it is asked.
type book struct {
	*fake
	events  *fake
	hearers chan *fakeConn // connections to the events address

	mu      sync.Mutex
	newest  int64
	missing int64   // this event is left out
	refusal pb.Code // of the next ListEvents
	commit  pb.Code // of each CommitCursor
	cursor  int64   // -1: there is none
	stored  chan int64
	refused chan int64
	lists   int
}

func startBook(t *testing.T, newest int64) *book {
	b := &book{newest: newest, cursor: -1, stored: make(chan int64, 1000), refused: make(chan int64, 1000),
		hearers: make(chan *fakeConn, 100)}
	b.fake = fakeServer(t, b.answer)
	b.events = startFake(t, pub, nil)
	b.events.greet = func(c *fakeConn) { b.hearers <- c }
	go b.events.serve()
	return b
}

func (b *book) answer(c *fakeConn, id uint32, r *pb.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch r.GetMethod()[strings.LastIndex(r.GetMethod(), "/")+1:] {
	case "ListEvents":
		b.list(c, id, r)
	case "GetCursor":
		if b.cursor < 0 {
			c.fail(id, pb.Code_CODE_NOT_FOUND, "none")
			return
		}
		c.ok(id, &pb.Cursor{Sequence: &b.cursor})
	case "CommitCursor":
		request := &pb.CommitCursorRequest{}
		proto.Unmarshal(r.GetPayload(), request)
		if b.commit != pb.Code_CODE_OK {
			c.fail(id, b.commit, "not now")
			b.refused <- request.GetSequence()
			return
		}
		b.cursor = request.GetSequence()
		b.stored <- b.cursor
		c.ok(id, &pb.Cursor{Sequence: &b.cursor})
	}
}

func (b *book) list(c *fakeConn, id uint32, r *pb.Request) {
	request := &pb.ListEventsRequest{}
	proto.Unmarshal(r.GetPayload(), request)
	b.lists++
	if b.refusal != pb.Code_CODE_OK {
		c.fail(id, b.refusal, "refused")
		b.refusal = pb.Code_CODE_OK
		return
	}
	response := &pb.ListEventsResponse{NewestSequence: proto.Int64(b.newest), OldestSequence: proto.Int64(1)}
	after := request.GetAfterSequence()
	for after < b.newest && len(response.GetEvents()) < int(request.GetPageSize()) {
		after++
		if after != b.missing {
			response.Events = append(response.Events, event(after))
		}
	}
	response.NextAfterSequence = proto.Int64(after)
	c.ok(id, response)
}

// add records events without publishing them.
func (b *book) add(count int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.newest += count
}

func (b *book) listCount() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lists
}

func (b *book) wantCursor(t *testing.T, want int64) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cursor != want {
		t.Errorf("the cursor is at %d, not %d", b.cursor, want)
	}
}

func event(sequence int64) *pb.Event {
	return &pb.Event{Sequence: &sequence, PreviousSequence: proto.Int64(sequence - 1), Topic: proto.String(topic)}
}

func (c *fakeConn) publish(topic string, message proto.Message) {
	data, err := proto.Marshal(message)
	if err != nil {
		panic(err)
	}
	c.send(append([]byte(topic+"\x00"), data...))
}

func (c *fakeConn) beat(newest int64) {
	c.publish("heartbeat/", &pb.Heartbeat{NewestSequence: &newest, IntervalMs: proto.Int64(60_000)})
}

type stream = grpc.ServerStreamingClient[pb.Event]

func subscribe(t *testing.T, conn *tradebook.Conn, request *pb.SubscribeRequest) (stream, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	events, err := pb.NewEventServiceClient(conn).Subscribe(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	return events, cancel
}

func (b *book) open(t *testing.T) *tradebook.Conn {
	return open(t, b.address, tradebook.WithEventsAddress(b.events.address))
}

// wantEvents receives the events from first to last.
func wantEvents(t *testing.T, events stream, first, last int64) {
	t.Helper()
	for want := first; want <= last; want++ {
		got, err := events.Recv()
		if err != nil || got.GetSequence() != want {
			t.Fatalf("received %v, %v instead of event %d", got, err, want)
		}
	}
}

// listening returns a stream of a book of three events that has handed out event 5 and
// waits for the doorbell.
func listening(t *testing.T, b *book, symbol *string) (stream, *fakeConn) {
	t.Helper()
	events, _ := subscribe(t, b.open(t), &pb.SubscribeRequest{AfterSequence: proto.Int64(3), Symbol: symbol})
	c := <-b.hearers
	// Not in the book yet: it comes by the doorbell, which then is connected.
	c.publish(topic, event(4))
	wantEvents(t, events, 4, 4)
	b.add(2)
	c.publish(topic, event(5))
	wantEvents(t, events, 5, 5)
	return events, c
}

func TestPublishedEventThatFollowsNeedsNoList(t *testing.T) {
	b := startBook(t, 3)
	events, c := listening(t, b, nil)
	lists := b.listCount()
	for sequence := int64(6); sequence <= 100; sequence++ {
		c.publish(topic, event(sequence))
	}
	wantEvents(t, events, 6, 100)
	if b.listCount() != lists {
		t.Errorf("ListEvents was called %d times meanwhile", b.listCount()-lists)
	}
}

func TestWhatIsPublishedIsNotTrusted(t *testing.T) {
	b := startBook(t, 3)
	events, c := listening(t, b, nil)
	b.add(6)
	for _, sequence := range []int64{5, 6, 6, 4, 9, 8, 8, 11, 10} {
		c.publish(topic, event(sequence))
	}
	c.send([]byte(topic))
	c.send([]byte(topic + "\x00\xff"))
	c.send([]byte("heartbeat/\x00\xff"))
	c.publish("trade.opened/BTC-USD/", event(12))
	b.add(1)
	c.publish(topic, event(12))
	wantEvents(t, events, 6, 12)
}

func TestEventsOfASymbolComeOnce(t *testing.T) {
	b := startBook(t, 3)
	events, c := listening(t, b, proto.String("BTC-USD"))
	for _, sequence := range []int64{5, 6, 6, 5, 7} {
		c.publish(topic, event(sequence))
	}
	wantEvents(t, events, 6, 7)
}

func TestHeartbeatTellsOfALostEvent(t *testing.T) {
	b := startBook(t, 3)
	events, c := listening(t, b, nil)
	b.add(2)
	c.beat(7)
	wantEvents(t, events, 6, 7)
}

func TestLostDoorbellIsMadeAgain(t *testing.T) {
	b := startBook(t, 3)
	events, _ := listening(t, b, nil)
	b.add(1)
	b.events.dropAll()
	wantEvents(t, events, 6, 6)
	c := <-b.hearers
	b.add(1)
	c.publish(topic, event(7))
	wantEvents(t, events, 7, 7)
}

func TestManyEventsWhileNobodyReceives(t *testing.T) {
	b := startBook(t, 3)
	events, c := listening(t, b, nil)
	b.add(20_000)
	sent := make(chan bool)
	go func() {
		defer close(sent)
		for sequence := int64(6); sequence <= 20_005; sequence++ {
			c.publish(topic, event(sequence))
		}
	}()
	wantEvents(t, events, 6, 20_005)
	<-sent
}

func TestOlderDatabaseIsDataLoss(t *testing.T) {
	b := startBook(t, 3)
	events, c := listening(t, b, nil)
	b.add(-3)
	c.beat(2)
	_, err := events.Recv()
	wantCode(t, err, codes.DataLoss, "older state")
	_, err = events.Recv()
	wantCode(t, err, codes.DataLoss, "older state")
}

func TestMissingEventIsDataLoss(t *testing.T) {
	b := startBook(t, 5)
	b.missing = 4
	events, _ := subscribe(t, open(t, b.address), &pb.SubscribeRequest{FromOldest: proto.Bool(true)})
	wantEvents(t, events, 1, 3)
	_, err := events.Recv()
	wantCode(t, err, codes.DataLoss, "event 5")
}

func TestBusyServerEndsNoStream(t *testing.T) {
	for _, code := range []pb.Code{pb.Code_CODE_RESOURCE_EXHAUSTED, pb.Code_CODE_UNAVAILABLE, pb.Code_CODE_DEADLINE_EXCEEDED} {
		b := startBook(t, 3)
		b.refusal = code
		events, _ := subscribe(t, open(t, b.address), &pb.SubscribeRequest{AfterSequence: proto.Int64(0)})
		wantEvents(t, events, 1, 3)
	}
}

func TestRefusalEndsTheStream(t *testing.T) {
	b := startBook(t, 3)
	b.refusal = pb.Code_CODE_OUT_OF_RANGE
	events, _ := subscribe(t, open(t, b.address), &pb.SubscribeRequest{AfterSequence: proto.Int64(0)})
	_, err := events.Recv()
	wantCode(t, err, codes.OutOfRange, "refused")
}

// wantStored waits until the cursor is stored at a sequence.
func (b *book) wantStored(t *testing.T, want int64) {
	t.Helper()
	for {
		select {
		case got := <-b.stored:
			if got == want {
				return
			}
			if got > want {
				t.Fatalf("the cursor was moved to %d, beyond %d", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("the cursor was not moved to %d", want)
		}
	}
}

func TestCursorIsMadeAtOnceAndMovesBehindWhatWasHandled(t *testing.T) {
	b := startBook(t, 3)
	events, cancel := subscribe(t, open(t, b.address), &pb.SubscribeRequest{Cursor: proto.String("a"), FromOldest: proto.Bool(true)})
	b.wantStored(t, 0)
	wantEvents(t, events, 1, 2)
	b.wantStored(t, 1) // a second later, although no further event is asked for
	wantEvents(t, events, 3, 3)
	cancel()
	b.wantStored(t, 2)
	_, err := events.Recv()
	wantCode(t, err, codes.Canceled)
	b.wantCursor(t, 3)
}

func TestCursorMovesWhenNoEventWaits(t *testing.T) {
	b := startBook(t, 3)
	b.cursor = 1
	events, _ := subscribe(t, open(t, b.address), &pb.SubscribeRequest{Cursor: proto.String("a")})
	wantEvents(t, events, 2, 3)
	go events.Recv()
	b.wantStored(t, 3)
}

func TestCursorIsStoredByClose(t *testing.T) {
	b := startBook(t, 3)
	b.cursor = 0
	conn := open(t, b.address)
	events, _ := subscribe(t, conn, &pb.SubscribeRequest{Cursor: proto.String("a")})
	wantEvents(t, events, 1, 3)
	conn.Close()
	b.wantCursor(t, 2) // event 3 was handed out; that it was handled nobody has said
	_, err := events.Recv()
	wantCode(t, err, codes.Canceled, "closed")
}

func TestBusyServerGetsTheCursorLater(t *testing.T) {
	b := startBook(t, 3)
	b.cursor, b.commit = 0, pb.Code_CODE_RESOURCE_EXHAUSTED
	events, _ := subscribe(t, open(t, b.address), &pb.SubscribeRequest{Cursor: proto.String("a")})
	wantEvents(t, events, 1, 3)
	ended := make(chan error, 1)
	go func() {
		_, err := events.Recv()
		ended <- err
	}()
	<-b.refused
	b.mu.Lock()
	b.commit = pb.Code_CODE_OK
	b.mu.Unlock()
	b.wantStored(t, 3)
	b.add(1)
	if err := <-ended; err != nil {
		t.Errorf("the stream ended with %v", err)
	}
}

func TestCursorThatIsRefusedEndsTheStream(t *testing.T) {
	b := startBook(t, 3)
	b.cursor, b.commit = 0, pb.Code_CODE_PERMISSION_DENIED
	events, _ := subscribe(t, open(t, b.address), &pb.SubscribeRequest{Cursor: proto.String("a")})
	wantEvents(t, events, 1, 3)
	_, err := events.Recv()
	wantCode(t, err, codes.PermissionDenied, "not now")
}

func TestCursorBeyondTheNewestEventIsDataLoss(t *testing.T) {
	b := startBook(t, 3)
	b.cursor, b.commit = 0, pb.Code_CODE_OUT_OF_RANGE
	events, _ := subscribe(t, b.open(t), &pb.SubscribeRequest{Cursor: proto.String("a")})
	c := <-b.hearers
	c.beat(3)
	wantEvents(t, events, 1, 3)
	b.add(-2)
	_, err := events.Recv()
	wantCode(t, err, codes.DataLoss, "older state")
}

func TestSubscribeReturnsWhenItsPlaceIsKnown(t *testing.T) {
	b := startBook(t, 3)
	ctx := tradebook.WithRequestID(metadata.AppendToOutgoingContext(t.Context(), "trace", "a"), tradebook.NewRequestID())
	_, err := pb.NewEventServiceClient(open(t, b.address)).Subscribe(ctx, &pb.SubscribeRequest{Cursor: proto.String("a")})
	if err != nil {
		t.Fatal(err)
	}
	b.wantCursor(t, 3)
}

func TestOtherStreamsAreUnimplemented(t *testing.T) {
	conn := open(t, nowhere)
	_, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, "/other.Service/Watch")
	wantCode(t, err, codes.Unimplemented, "Watch")
}
