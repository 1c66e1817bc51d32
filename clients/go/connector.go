package tradebook

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	redialFirst = 20 * time.Millisecond
	redialMax   = 500 * time.Millisecond
)

var errClosed = errors.New("the client was closed")

// connector keeps one connection for all calls. It connects when a call needs it,
// one try at a time with growing pauses, for as long as one does.
type connector struct {
	dialer *dialer
	ctx    context.Context // ends when the client is closed
	cancel context.CancelFunc

	mu       sync.Mutex
	current  *exchange     // may be lost
	trying   chan struct{} // closed when the try under way ends; nil: there is none
	pause    backoff       // before the next try
	accepted bool          // the try under way has a connection, which has not shaken hands yet
	failure  error         // why the last try failed
}

func newConnector(d *dialer) *connector {
	ctx, cancel := context.WithCancel(context.Background())
	return &connector{dialer: d, ctx: ctx, cancel: cancel, pause: backoff{first: redialFirst, max: redialMax}}
}

// get returns the connection, and waits for it.
func (c *connector) get(ctx context.Context) (*exchange, error) {
	for {
		if c.ctx.Err() != nil {
			return nil, errClosed
		}
		current, trying := c.look()
		if current != nil {
			return current, nil
		}
		select {
		case <-trying:
		case <-c.ctx.Done():
			return nil, errClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// look returns the connection, or a try to make one that is under way.
func (c *connector) look() (*exchange, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && !c.current.isLost() {
		return c.current, nil
	}
	if c.trying == nil {
		c.trying = make(chan struct{})
		go c.try(c.nextPause())
	}
	return nil, c.trying
}

// nextPause is none after a connection that was of use.
func (c *connector) nextPause() time.Duration {
	if c.failure == nil && (c.current == nil || c.current.heard.Load()) {
		c.pause.reset()
		return 0
	}
	return c.pause.next()
}

func (c *connector) try(pause time.Duration) {
	conn, err := c.dial(pause)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.accepted = false
	c.failure = err
	if err == nil {
		c.current = newExchange(conn)
		if c.ctx.Err() != nil {
			c.current.close()
		}
	}
	close(c.trying)
	c.trying = nil
}

func (c *connector) dial(pause time.Duration) (*frameConn, error) {
	if !sleep(c.ctx, pause) {
		return nil, errClosed
	}
	raw, err := c.dialer.connect(c.ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.accepted = true
	c.mu.Unlock()
	return c.dialer.greet(c.ctx, raw)
}

// whyAway returns why no server is there; nil: one is, as far as can be seen, even if
// it has not shaken hands yet.
func (c *connector) whyAway() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.current != nil && !c.current.isLost():
		return nil
	case c.failure != nil:
		return c.failure
	case c.accepted:
		return nil
	case c.current != nil:
		return errConnectionLost
	default:
		return errors.New("it does not respond")
	}
}

func (c *connector) close() {
	c.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil {
		c.current.close()
	}
}
