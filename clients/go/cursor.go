package tradebook

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/tradebook/tradebook/clients/go/tradebookv1"
)

const (
	cursorDelayMax   = time.Second     // between handling an event and moving the cursor
	cursorEndTimeout = 3 * time.Second // of moving it for the last time
)

// cursor moves a cursor on the server behind the events that were handled, in the
// background and for several of them at once.
type cursor struct {
	name    string
	events  tradebookv1.EventServiceClient
	options []grpc.CallOption
	timeout time.Duration   // of one call
	wake    chan<- struct{} // rung after failure was set
	due     chan struct{}   // rings when it is time to move
	done    chan struct{}   // closed when run has ended

	mu      sync.Mutex
	handled int64
	stored  int64
	isTimed bool // a timer rings due
	failure error
}

func newCursor(s *subscriber, name string, wake chan<- struct{}) *cursor {
	return &cursor{
		name:    name,
		events:  s.events,
		options: s.options,
		timeout: s.timeout,
		wake:    wake,
		due:     make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
}

// startAt says where the cursor is.
func (k *cursor) startAt(sequence int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.handled, k.stored = sequence, sequence
}

// note says that everything up to this sequence was handled.
func (k *cursor) note(sequence int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.handled = sequence
	if k.handled > k.stored && !k.isTimed {
		k.isTimed = true
		time.AfterFunc(cursorDelayMax, k.flush)
	}
}

// flush moves the cursor now.
func (k *cursor) flush() {
	ring(k.due)
}

// takeFailure returns why the cursor cannot be moved, once.
func (k *cursor) takeFailure() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.failure
	k.failure = nil
	return err
}

// run moves the cursor until the stream ends, and then for the last time.
func (k *cursor) run(ctx context.Context) {
	defer close(k.done)
	for {
		select {
		case <-k.due:
			k.move(ctx, k.timeout)
		case <-ctx.Done():
			k.moveAfter(ctx)
			return
		}
	}
}

// end waits until run has ended, and moves the cursor once more if more was handled
// since.
func (k *cursor) end(ctx context.Context) {
	<-k.done
	k.moveAfter(ctx)
}

func (k *cursor) moveAfter(ctx context.Context) {
	k.move(context.WithoutCancel(ctx), cursorEndTimeout)
}

func (k *cursor) move(ctx context.Context, timeout time.Duration) {
	k.mu.Lock()
	sequence, isMoved := k.handled, k.handled > k.stored
	k.isTimed = false
	k.mu.Unlock()
	if !isMoved {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request := &tradebookv1.CommitCursorRequest{Name: proto.String(k.name), Sequence: proto.Int64(sequence)}
	_, err := k.events.CommitCursor(ctx, request, k.options...)
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case err == nil:
		k.stored = sequence
	case isPassing(err):
		time.AfterFunc(cursorDelayMax, k.flush)
	default:
		k.failure = err
		ring(k.wake)
	}
}
