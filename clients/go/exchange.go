package tradebook

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	spIDBytes = 4
	spIDBit   = 1 << 31 // marks the last header word of an SP request

	// A connection that delivers nothing for this long although a request waits is
	// given up when that request's time ends: its peer may be gone without a word.
	quietMax = time.Second

	// So many frames wait to be written, and are written by one system call.
	writesMax = 64
)

var (
	errConnectionLost = errors.New("the connection was lost")
	errNoAnswer       = errors.New("the deadline is over while the connection stood")
)

// exchange is one connection with any number of requests under way. Replies find
// their request by its SP id.
type exchange struct {
	conn   *frameConn
	writes chan []byte
	done   chan struct{} // closed when the connection is lost
	close  func()        // gives the connection up
	heard  atomic.Bool   // a reply came

	mu         sync.Mutex
	lastID     uint32
	waiting    map[uint32]chan []byte
	quietSince time.Time // requests wait and nothing was heard since; zero: none waits
}

func newExchange(conn *frameConn) *exchange {
	x := &exchange{
		conn:    conn,
		writes:  make(chan []byte, writesMax),
		done:    make(chan struct{}),
		waiting: make(map[uint32]chan []byte),
	}
	x.close = sync.OnceFunc(func() {
		close(x.done)
		conn.Close()
	})
	go x.write()
	go x.read()
	return x
}

// isLost says whether the connection was lost.
func (x *exchange) isLost() bool {
	select {
	case <-x.done:
		return true
	default:
		return false
	}
}

// roundTrip sends a frame made by newRequest and returns the body of the reply;
// otherwise errConnectionLost, errNoAnswer, or that the context was cancelled.
func (x *exchange) roundTrip(ctx context.Context, frame []byte) ([]byte, error) {
	id, reply := x.enter()
	defer x.leave(id)
	binary.BigEndian.PutUint32(frame[x.conn.headBytes:], id)
	x.conn.seal(frame)
	select {
	case x.writes <- frame:
	case <-x.done:
		return nil, errConnectionLost
	case <-ctx.Done():
		return nil, x.giveUp(ctx)
	}
	select {
	case body := <-reply:
		return body, nil
	case <-x.done:
		return nil, errConnectionLost
	case <-ctx.Done():
		return nil, x.giveUp(ctx)
	}
}

// newRequest returns a frame to which the body of a request is to be appended.
func (x *exchange) newRequest(bodyBytes int) []byte {
	frame := x.conn.newFrame(spIDBytes + bodyBytes)
	return append(frame, make([]byte, spIDBytes)...)
}

func (x *exchange) enter() (uint32, <-chan []byte) {
	reply := make(chan []byte, 1)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lastID++
	id := x.lastID | spIDBit
	x.waiting[id] = reply
	if x.quietSince.IsZero() {
		x.quietSince = time.Now()
	}
	return id, reply
}

func (x *exchange) leave(id uint32) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.waiting, id)
	if len(x.waiting) == 0 {
		x.quietSince = time.Time{}
	}
}

func (x *exchange) giveUp(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	x.mu.Lock()
	isQuiet := time.Since(x.quietSince) >= quietMax
	x.mu.Unlock()
	if isQuiet {
		x.close()
	}
	return errNoAnswer
}

func (x *exchange) write() {
	defer x.close()
	for {
		select {
		case frame := <-x.writes:
			// Others that are about to send get a turn, and a place in the same call.
			runtime.Gosched()
			frames := x.takeWaiting(net.Buffers{frame})
			if _, err := frames.WriteTo(x.conn.Conn); err != nil {
				return
			}
		case <-x.done:
			return
		}
	}
}

func (x *exchange) takeWaiting(frames net.Buffers) net.Buffers {
	for len(frames) < writesMax {
		select {
		case frame := <-x.writes:
			frames = append(frames, frame)
		default:
			return frames
		}
	}
	return frames
}

func (x *exchange) read() {
	defer x.close()
	for {
		frame, err := x.conn.readFrame()
		if err != nil || len(frame) < spIDBytes {
			return
		}
		x.heard.Store(true)
		x.deliver(binary.BigEndian.Uint32(frame), frame[spIDBytes:])
	}
}

// deliver drops the reply when nobody waits for it any more.
func (x *exchange) deliver(id uint32, body []byte) {
	x.mu.Lock()
	reply := x.waiting[id]
	delete(x.waiting, id)
	x.quietSince = time.Time{}
	if len(x.waiting) > 0 {
		x.quietSince = time.Now()
	}
	x.mu.Unlock()
	if reply != nil {
		reply <- body
	}
}
