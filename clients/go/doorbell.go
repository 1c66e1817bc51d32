package tradebook

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"
	"time"
)

const (
	doorbellFramesMax     = 4096     // kept until they are taken; then the connection is not read
	doorbellFrameBytesMax = 16 << 10 // a larger one ends the connection
	doorbellSilenceMax    = 2 * time.Minute

	closedTrades   = "trade.closed/"
	heartbeatTopic = "heartbeat/"
)

// epoch is where heardAt counts from, by the clock that nobody sets.
var epoch = time.Now()

// doorbell hears what the server publishes at its events address. It may miss some:
// when it was not connected, or when the server dropped what was not read in time.
type doorbell struct {
	dialer  *dialer
	topic   []byte
	frames  chan []byte     // topic, NUL, message; in the order of their arrival
	wake    chan<- struct{} // rung after isNew was set
	isNew   atomic.Bool     // a connection was made: events before it were not heard
	heardAt atomic.Int64    // nanoseconds from epoch to the last sign of life; 0: there is no connection
}

func newDoorbell(d *dialer, topic string, wake chan<- struct{}) *doorbell {
	return &doorbell{dialer: d, topic: []byte(topic), frames: make(chan []byte, doorbellFramesMax), wake: wake}
}

// topicOf returns the topics of a symbol's closed trades; "" stands for all.
func topicOf(symbol string) string {
	if symbol == "" {
		return closedTrades
	}
	const digits = "0123456789ABCDEF"
	var topic strings.Builder
	topic.WriteString(closedTrades)
	for i := range len(symbol) {
		switch b := symbol[i]; {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', strings.IndexByte("-._~", b) >= 0:
			topic.WriteByte(b)
		default:
			topic.Write([]byte{'%', digits[b>>4], digits[b&15]})
		}
	}
	topic.WriteByte('/')
	return topic.String()
}

// run hears until the context ends, and connects again whenever it must.
func (d *doorbell) run(ctx context.Context) {
	pause := backoff{first: redialFirst, max: redialMax}
	for {
		if conn, err := d.dialer.dial(ctx); err == nil {
			if d.listen(ctx, conn) {
				pause.reset()
			}
		}
		if !sleep(ctx, pause.next()) {
			return
		}
	}
}

// listen reads until the connection is lost, and says whether anything was heard.
func (d *doorbell) listen(ctx context.Context, conn *frameConn) bool {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer d.heardAt.Store(0)
	d.heardAt.Store(int64(time.Since(epoch)))
	d.isNew.Store(true)
	ring(d.wake)
	for heard := false; ; heard = true {
		conn.SetReadDeadline(time.Now().Add(doorbellSilenceMax))
		frame, err := conn.readFrame()
		if err != nil {
			return heard
		}
		d.heardAt.Store(int64(time.Since(epoch)))
		if !bytes.HasPrefix(frame, d.topic) && !bytes.HasPrefix(frame, []byte(heartbeatTopic)) {
			continue
		}
		select {
		case d.frames <- frame:
		case <-ctx.Done():
			return heard
		}
	}
}

// aliveUntil is when the doorbell counts as dead unless something is heard: that long
// after the last sign of life.
func (d *doorbell) aliveUntil(silence time.Duration) time.Time {
	heardAt := d.heardAt.Load()
	if heardAt == 0 {
		return time.Time{}
	}
	return epoch.Add(time.Duration(heardAt)).Add(silence)
}

// ring wakes who waits for the bell, a channel of one element, now or next.
func ring(bell chan<- struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}
